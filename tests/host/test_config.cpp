// Settings: defaults, precedence, aliases, the file that is written. What is refused stands in
// test_bad_input_files.cpp.
#include <catch2/catch.hpp>

#include "host/commands/shared_options.h"
#include "host/config/config.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

Config read(const std::string& text) {
  Config config;
  apply_config_text(config, text, "config.toml");
  return config;
}

TEST_CASE("config: the defaults are the paper's") {
  const Config config = resolve(Config(), 3072);
  CHECK(config.projector == "mlp");
  CHECK(config.hidden == 1536);
  CHECK(config.width == 64);
  CHECK(config.layers == 2);
  CHECK(config.batch == 4096);
  CHECK(config.negatives == 256);
  CHECK(config.tau == 0.15);
  CHECK(config.lr == 5e-4);
  CHECK(config.epochs == 500);
  CHECK(config.eval_every == 5);
  CHECK(config.patience == 20);
  CHECK(config.monitor == "recall@20");
  CHECK(config.sampling == "user");
  CHECK(config.negative_distribution == "uniform");
  CHECK(config.negative_exponent == 0.75);
}

TEST_CASE("config: what follows from other keys") {
  CHECK(resolve(Config(), 384).hidden == 768);  // no entry in the authors' table: twice the width
  const Config linear = resolve(read("model = 'linear'"), 384);
  CHECK(linear.projector == "linear");
  CHECK(linear.layers == 0);
  CHECK(linear.hidden == 0);
  CHECK(resolve(read("model = 'linear'\nlayers = 2"), 384).layers == 2);
  CHECK(resolve(read("hidden = 100"), 384).hidden == 100);
  CHECK(resolve(read("objective = 'bpr'"), 384).negatives == 1);
  CHECK(resolve(read("objective = 'softmax'\nnegatives = 7"), 384).negatives == 1);
  CHECK(resolve(read("objective = 'inbatch'\nnegatives = 7"), 384).negatives == 1);
}

TEST_CASE("config: aliases mean what the peers mean") {
  struct Case {
    std::string text;
    bool (*holds)(const Config&);
  };
  const std::vector<Case> cases = {
      {"hidden_size = 32", [](const Config& c) { return c.width == 32 && c.hidden == 0; }},
      {"embedding_size = 32", [](const Config& c) { return c.width == 32; }},
      {"recdim = 32", [](const Config& c) { return c.width == 32; }},
      {"embed_size = 32", [](const Config& c) { return c.width == 32; }},
      {"n_factors = 32", [](const Config& c) { return c.width == 32; }},
      {"learning_rate = 0.25", [](const Config& c) { return c.lr == 0.25; }},
      {"[learning]\nrate = 0.25", [](const Config& c) { return c.lr == 0.25; }},
      {"learning.rate = 0.25", [](const Config& c) { return c.lr == 0.25; }},
      {"weight_decay = 1e-3", [](const Config& c) { return c.weight_decay == 1e-3; }},
      {"decay = 1e-4", [](const Config& c) { return c.reg == 1e-4; }},
      {"reg.lambda = 0.5", [](const Config& c) { return c.reg == 0.5; }},
      {"[projector]\nlayers = 3", [](const Config& c) { return c.projector_layers == 3; }},
      {"regs = 0", [](const Config& c) { return c.reg == 0; }},
      {"n_layers = 3", [](const Config& c) { return c.layers == 3; }},
      {"layer = 3", [](const Config& c) { return c.layers == 3; }},
      {"layer_num = 3", [](const Config& c) { return c.layers == 3; }},
      {"num_layers = 3", [](const Config& c) { return c.layers == 3; }},
      {"temperature = 0.5", [](const Config& c) { return c.tau == 0.5; }},
      {"temp = 0.5", [](const Config& c) { return c.tau == 0.5; }},
      {"temp_cl = 1", [](const Config& c) { return c.tau == 1; }},
      {"neg_sample = 7", [](const Config& c) { return c.negatives == 7; }},
      {"num_neg = 7", [](const Config& c) { return c.negatives == 7; }},
      {"train_neg_sample_args.sample_num = 7", [](const Config& c) { return c.negatives == 7; }},
      {"batch_size = 9", [](const Config& c) { return c.batch == 9; }},
      {"train_batch_size = 9", [](const Config& c) { return c.batch == 9; }},
      {"bpr_batch = 9", [](const Config& c) { return c.batch == 9; }},
      {"max_epoch = 4", [](const Config& c) { return c.epochs == 4; }},
      {"num_epochs = 4", [](const Config& c) { return c.epochs == 4; }},
      {"verbose = 2", [](const Config& c) { return c.eval_every == 2; }},
      {"eval_step = 2", [](const Config& c) { return c.eval_every == 2; }},
      {"test_step = 2", [](const Config& c) { return c.eval_every == 2; }},
      {"stopping_step = 2", [](const Config& c) { return c.patience == 2; }},
      {"valid_metric = 'Recall@10'", [](const Config& c) { return c.monitor == "recall@10"; }},
      {"monitor = 'Hit@5'", [](const Config& c) { return c.monitor == "hr@5"; }},
      {"monitor = 'hit_ratio@5'", [](const Config& c) { return c.monitor == "hr@5"; }},
      {"monitor = 'HitRatio@5'", [](const Config& c) { return c.monitor == "hr@5"; }},
      {"Ks = [5, 10]",
       [](const Config& c) {
         return c.topk == std::vector<int64_t>{5, 10};
       }},
      {"topks = [5]", [](const Config& c) { return c.topk == std::vector<int64_t>{5}; }},
      {"topN = 5", [](const Config& c) { return c.topk == std::vector<int64_t>{5}; }},
      {"num_workers = 2", [](const Config& c) { return c.threads == 2; }},
      {"num_threads = 2", [](const Config& c) { return c.threads == 2; }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(c.holds(read(c.text)));
  }
}

TEST_CASE("config: later settings stand over earlier ones, and leave the others alone") {
  const TemporaryFolder folder;
  put(folder / "data.toml", "batch = 1\nlr = 0.1\nepochs = 7\n");
  put(folder / "own.toml", "batch_size = 2\nlr = 0.2\n");
  Config config;
  apply_config_file(config, folder / "data.toml");
  apply_config_file(config, folder / "own.toml");
  apply_setting(config, "learning_rate=0.3");
  CHECK(config.epochs == 7);
  CHECK(config.batch == 2);
  CHECK(config.lr == 0.3);
  CHECK(config.negatives == 256);
}

TEST_CASE("config: --set takes TOML values and bare words") {
  Config config;
  for (const char* setting : {"model=linear", "objective=\"bpr\"", "topk=[5, 10]", "tau=1",
                              "monitor=NDCG@10", "learning.rate=1e-2", "mask=train"})
    apply_setting(config, setting);
  CHECK(config.model == "linear");
  CHECK(config.objective == "bpr");
  CHECK(config.topk == std::vector<int64_t>{5, 10});
  CHECK(config.tau == 1);
  CHECK(config.monitor == "ndcg@10");
  CHECK(config.lr == 0.01);
  CHECK(config.mask == "train");
}

TEST_CASE("config: --set as people type it") {
  Config config;
  for (const char* setting : {"topk=5,10", " lr = 0.25", "loss=BPR", "model = Linear "})
    apply_setting(config, setting);
  CHECK(config.topk == std::vector<int64_t>{5, 10});
  CHECK(config.lr == 0.25);
  CHECK(config.objective == "bpr");
  CHECK(config.model == "linear");
}

TEST_CASE("config: an unknown key is told the nearest name, or none") {
  const auto told = [](const std::string& key) {
    Config config;
    return refusal([&] { apply_setting(config, key + "=1"); });
  };
  CHECK_THAT(told("learning_rat"), Catch::Contains("'learning_rate', which is 'lr'"));
  CHECK_THAT(told("taau"), Catch::EndsWith("the nearest known one is 'tau'"));
  CHECK_THAT(told("training.batch"), Catch::EndsWith("the nearest known one is 'batch'"));
  CHECK_THAT(told("colour"), Catch::Contains("unknown key") &&
                                 Catch::Contains("known ones are model, ") &&
                                 !Catch::Contains("nearest"));
  CHECK_THAT(told("eval_batch_size"), Catch::Contains("sizes evaluation itself; leave it out"));
}

TEST_CASE("config: the first difference, with both values") {
  Config a, b;
  CHECK(first_difference(a, b) == "");
  b.lr = 0.25;
  b.seed = 3;
  CHECK(first_difference(a, b) == "lr = 0.0005, not 0.25");
}

TEST_CASE("config: settings that contradict each other are refused, naming both") {
  const auto told = [](const std::string& text) {
    return refusal([&] { resolve(read(text), 10); });
  };
  CHECK(told("model = 'mf'\nprojector = 'mlp'") ==
        "projector is 'mlp', but model is 'mf', which reads no language vectors; leave one of them "
        "out");
  CHECK(told("projector = 'none'") ==
        "projector is 'none', but model is 'alpharec', which projects language vectors; leave one "
        "of them out");
  CHECK_THAT(told("projector = 'linear'\nprojector_layers = 2"),
             Catch::StartsWith("projector is 'linear', but projector_layers is 2"));
  CHECK_THAT(told("projector = 'mlp'\nprojector_layers = 1"),
             Catch::StartsWith("projector is 'mlp', but projector_layers is 1"));
  CHECK_THAT(told("model = 'lightgcn'\nprojector_layers = 1"),
             Catch::StartsWith("projector is 'none', but projector_layers is 1"));
  CHECK_THAT(told("model = 'mf'\nlayers = 2"), Catch::StartsWith("layers is 2, but model is 'mf'"));
  CHECK_THAT(told("init_std = 0.1"), Catch::StartsWith("init_std is 0.1, but model is 'alpharec'"));
  CHECK_THAT(told("reg = 1e-4"), Catch::StartsWith("reg is 0.0001, but model is 'alpharec'"));
  CHECK(told("model = 'linear'\nprojector_layers = 3") == "");
}

TEST_CASE("config: an option of the command line is named as it was typed") {
  Config config;
  apply_option(config, "epochs", "7");
  CHECK(config.epochs == 7);
  CHECK(refusal([&] {
          apply_option(config, "epochs", "0");
        }).rfind("--epochs 0: 'epochs' must be 1 to", 0) == 0);
  CHECK_THAT(refusal([&] { apply_option(config, "seed", "x y"); }),
             Catch::StartsWith("--seed x y:"));
  CHECK(config.epochs == 7);
}

TEST_CASE("config: what is written holds every key and reads back as itself") {
  const std::vector<std::string> all = {"model",
                                        "projector",
                                        "hidden",
                                        "width",
                                        "layers",
                                        "objective",
                                        "init_std",
                                        "projector_layers",
                                        "monitor_domain",
                                        "compat",
                                        "domain_shares",
                                        "score",
                                        "tau",
                                        "batch",
                                        "negatives",
                                        "sampling",
                                        "negative_distribution",
                                        "negative_exponent",
                                        "lr",
                                        "reg",
                                        "epochs",
                                        "weight_decay",
                                        "patience",
                                        "eval_every",
                                        "monitor",
                                        "mask",
                                        "topk",
                                        "seed",
                                        "threads",
                                        "precision"};
  for (const char* text :
       {"", "model = 'linear'\nlr = 0.1\ntau = 3", "model = 'lightgcn'\ninit_std = 0.1",
        "model = 'mf'\nreg = 0", "projector_layers = 1", "projector_layers = 4",
        "domain_shares = [1, 2.5, 0.1]", "monitor_domain = 'a \"b\" \\\\ \u00e9'",
        "projector = 'linear'", "lr = 1e-300\nweight_decay = 0.30000000000000004",
        "seed = 9223372036854775807\ntopk = [1, 1000000]"}) {
    const std::string written = to_toml(resolve(read(text), 384));
    CAPTURE(text, written);
    CHECK(to_toml(read(written)) == written);
    for (const std::string& key : all)
      CHECK_THAT("\n" + written, Catch::Contains("\n" + key + " = "));
  }
}

}  // namespace
}  // namespace rec::test
