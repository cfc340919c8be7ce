// Every way of hurting a file that we thought of, reader by reader, from memory: one clear sentence
// that names the place. What is accepted, and what it then means, stands beside each reader's other
// tests; what does not fit together between files, in test_dataset.cpp.
#include <catch2/catch.hpp>

#include "host/config/config.h"
#include "host/formats/id_table.h"
#include "host/formats/interactions.h"
#include "host/formats/npy.h"
#include "host/formats/safetensors.h"
#include "tests/host/files.h"

namespace rec::test {
namespace {

struct Case {
  std::string name;
  std::string bytes;
  std::vector<std::string> words;  // of the sentence
};

template <class Read>
void check_refused(const std::string& file, const std::vector<Case>& cases, Read read) {
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const std::string sentence = refusal([&] { read(c.bytes); });
    CHECK_THAT(sentence, Catch::StartsWith(file + ":"));
    CHECK(sentence.find('\n') == std::string::npos);
    for (const std::string& word : c.words) CHECK_THAT(sentence, Catch::Contains(word));
  }
}

TEST_CASE("bad input: interactions") {
  check_refused(
      "train.txt",
      {{"negative item", "0 1\n1 -4\n", {"train.txt:2:", "-4", "negative"}},
       {"negative user", "-1 4\n", {":1:", "-1", "negative"}},
       {"a word", "0 1\n1 2\n2 x5\n", {":3:", "'x5'", "not a number"}},
       {"a fraction", "0 4.5\n", {":1:", "'4.5'"}},
       {"an exponent", "0 1e3\n", {"'1e3'"}},
       {"a plus sign", "0 +3\n", {"'+3'"}},
       {"hexadecimal", "0 0x10\n", {"'0x10'"}},
       {"commas", "0,1,2\n", {"'0,1,2'"}},
       {"a NUL byte", std::string("0 1\n1 \0 2\n", 10), {":2:", "not a number"}},
       {"a NUL byte in a number", std::string("0 1\0 2\n", 7), {":1:", "'1?'"}},
       {"above 2^31 - 2", "0 2147483647\n", {"2147483647", "too large", "2147483646"}},
       {"thirty digits", "0 " + std::string(30, '9') + "\n", {"too large"}},
       {"thirty digits, negative", "0 -" + std::string(30, '9') + "\n", {":1:"}},
       {"a user far away", "0 1\n2000000000 1\n", {"2000000000", "numbered"}},
       {"a minus alone", "0 -\n", {"'-'", "not a number"}},
       {"old Mac line ends", "0 1\r1 2\r", {":1:", "not a number"}},
       {"UTF-16", std::string("\xFF\xFE\x30\0\x20\0\x31\0", 8), {":1:", "'??0?'"}},
       {"a byte order mark inside",
        "0 1\n\xEF\xBB\xBF"
        "1 2\n",
        {":2:"}},
       {"a space that is none",
        "0\xC2\xA0"
        "1\n",
        {":1:"}},
       {"a header", "user\titems\n0 1\n", {":1:", "'user'"}},
       {"line counted after empty lines", "0 1\n\n\nx\n", {":4:", "'x'"}},
       {"line counted after CRLF and empty lines", "0 1\r\n\r\n\r\nx\r\n", {":4:", "'x'"}}},
      [](const std::string& bytes) { parse_interactions(bytes, "train.txt"); });
}

TEST_CASE("bad input: id tables") {
  check_refused("items.tsv",
                {{"empty", "", {"holds no ids"}},
                 {"a header alone", "item\toriginal_id\ttitle\n", {"holds no ids"}},
                 {"Latin-1", "0\ta\tOk\n1\tb\tCaf\xE9\n", {"items.tsv:2:", "UTF-8"}},
                 {"a surrogate", "0\ta\t\xED\xA0\x80\n", {":1:", "UTF-8"}},
                 {"a NUL byte", std::string("0\ta\tA\n1\tb\tO\0k\n", 14), {":2:", "NUL"}},
                 {"spaces for tabs", "0 a A\n1 b B\n", {":2:", "tab"}},
                 {"an id alone", "0\ta\tA\n1\n", {":2:", "no tab"}},
                 {"an id twice", "0\ta\n0\tb\n", {":2:", "id 0 stands twice"}},
                 {"a gap", "0\ta\n2\tb\n", {":2:", "id 2", "gap"}},
                 {"from one on", "1\ta\n2\tb\n", {":2:", "id 2", "gap"}},
                 {"negative", "0\ta\n-1\tb\n", {":2:", "number from 0"}},
                 {"negative at first", "-1\ta\n0\tb\n", {":1:", "number from 0"}},
                 {"no number", "0\ta\nx\tb\n", {":2:", "number from 0"}},
                 {"too large a number", "0\ta\n" + std::string(30, '9') + "\tb\n", {":2:"}},
                 {"two headers", "item\tid\nitem\tid\n0\ta\n", {":2:"}}},
                [](const std::string& bytes) { parse_id_table(bytes, "items.tsv"); });
}

TEST_CASE("bad input: id lists") {
  const std::string header = "org_id remap_id\n";
  check_refused("user_list.txt",
                {{"empty", "", {"no ids"}},
                 {"a header alone", header + "\n", {"no ids"}},
                 {"no header", "a 0\n", {":1:", "header", "org_id", "remap_id"}},
                 {"half a header", "org_id id\na 0\n", {":1:", "header"}},
                 {"an id alone", header + "a\n", {":2:", "1 words", "2 of the header"}},
                 {"a blank in an id", header + "a a 0\n", {":2:", "3 words"}},
                 {"an id twice", header + "a 0\n\na 1\n", {":4:", "'a' stands on line 2"}},
                 {"a number twice", header + "a 0\nb 0\n", {":3:", "id 0 stands twice"}},
                 {"a gap", header + "a 0\nb 2\n", {":3:", "id 2", "gap"}},
                 {"negative", header + "a -1\n", {":2:", "remap_id '-1'"}},
                 {"no number", header + "a x\n", {":2:", "remap_id 'x'"}},
                 {"a fraction", header + "a 1.0\n", {":2:", "remap_id '1.0'"}},
                 {"too large", header + "a " + std::string(30, '9') + "\n", {":2:", "remap_id"}},
                 {"Latin-1", header + "\xE9 0\n", {":2:", "UTF-8"}},
                 {"a NUL byte", header + std::string("a\0 0\n", 5), {":2:", "NUL"}}},
                [](const std::string& bytes) { parse_id_list(bytes, "user_list.txt"); });
}

TEST_CASE("bad input: npy") {
  const std::string six = raw<float>({1, 2, 3, 4, 5, 6});
  const std::string good = npy_bytes({}, six);
  const auto with = [&](const NpyText& text) { return npy_bytes(text, six); };
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    return bytes.replace(bytes.find(from), from.size(), to);
  };
  check_refused(
      "x.npy",
      {{"empty", "", {"is empty"}},
       {"text", "hello, this is text", {"not a .npy file"}},
       {"the magic alone", good.substr(0, 6), {"not a .npy file"}},
       {"version 9", with({"<f4", "(2, 3)", "False", 9}), {"version 9"}},
       {"cut in its header", good.substr(0, 40), {"cut short inside its header"}},
       {"cut in its length",
        npy_bytes({"<f4", "(2, 3)", "False", 2}, six).substr(0, 10),
        {"cut short"}},
       {"cut in its values", good.substr(0, good.size() - 5), {"cut short", "24", "19"}},
       {"more bytes", good + "123", {"3 bytes after"}},
       {"a length of 4 GB",
        [&] {
          std::string bytes = npy_bytes({"<f4", "(2, 3)", "False", 2}, six);
          return bytes.replace(8, 4, "\xFF\xFF\xFF\xFF");
        }(),
        {"too long"}},
       {"big-endian", with({">f4"}), {"big-endian", "astype"}},
       {"strings", with({"<U1"}), {"'<U1'", "float16, float32 or float64"}},
       {"bool", with({"|b1"}), {"'|b1'"}},
       {"objects", with({"|O"}), {"'|O'"}},
       {"complex", with({"<c8"}), {"'<c8'"}},
       {"records", changed("'<f4'", "[('a', '<f4')]"), {"records"}},
       {"Fortran order", with({"<f4", "(2, 3)", "True"}), {"Fortran order", "ascontiguousarray"}},
       {"an order of neither kind", with({"<f4", "(2, 3)", "Maybe"}), {"True or False"}},
       {"an unknown key", changed("'shape'", "'shade'"), {"'shade'"}},
       {"a repeated key", changed("'shape': (2, 3)", "'descr': '<f4'"), {"'descr'"}},
       {"a missing key", changed("'shape': (2, 3), ", ""), {"lacks"}},
       {"no dictionary", changed("{", "("), {"'{' is missing"}},
       {"an open quote", changed("'<f4'", "'<f4"), {"'<f4, '"}},
       {"words after the dictionary", changed("}  ", "} x"), {"goes on after"}},
       {"a negative shape", with({"<f4", "(-2, 3)"}), {"numbers from 0"}},
       {"a shape in words", with({"<f4", "(two, 3)"}), {"numbers from 0"}},
       {"a shape beyond the file", with({"<f4", "(2, 1099511627776)"}), {"cut short"}},
       {"a shape beyond 2^63", with({"<f4", "(4294967296, 4294967296)"}), {"too large"}},
       {"bytes beyond 2^63", with({"<f4", "(4611686018427387904,)"}), {"too large"}},
       {"a number beyond 2^63", with({"<f4", "(99999999999999999999,)"}), {"numbers from 0"}},
       {"an open shape", with({"<f4", "(2, 3"}), {"damaged"}},
       {"whole numbers as floats", npy_bytes({"<i4", "(2, 3)"}, six), {"whole numbers"}}},
      [](const std::string& bytes) { NpyFile(bytes, "x.npy").as_float32(); });
  CHECK_THAT(refusal([&] { NpyFile(good, "x.npy").as_int64(); }), Catch::Contains("real numbers"));
}

TEST_CASE("bad input: safetensors") {
  const std::string two = raw<float>({1, 2});
  const auto file = [&](const std::string& header) { return safetensors_bytes(header, two); };
  const auto tensor = [&](const std::string& fields) { return file("{\"w\":{" + fields + "}}"); };
  check_refused(
      "x.safetensors",
      {{"empty", "", {"too short"}},
       {"seven bytes", "1234567", {"too short"}},
       {"text", "this is text and no weights", {"not a safetensors file"}},
       {"a header longer than the file", file("{}").substr(0, 9), {"cut short"}},
       {"a length of 2^64 - 1", std::string(8, '\xFF') + "{}", {"not a safetensors file"}},
       {"no JSON", file("{\"w\":"), {"not a JSON object"}},
       {"no object", file("[1, 2]"), {"not a JSON object"}},
       {"not UTF-8", file("{\"\xFF\":1}"), {"not a JSON object"}},
       {"nested too deeply", file(std::string(100000, '[')), {"nested too deeply"}},
       {"metadata of numbers", file(R"({"__metadata__":{"a":1}})"), {"damaged metadata"}},
       {"metadata of another kind", file(R"({"__metadata__":7})"), {"damaged metadata"}},
       {"a tensor that is a number", file(R"({"w":7})"), {"'w'", "damaged description"}},
       {"without offsets", tensor(R"("dtype":"F32","shape":[2])"), {"damaged description"}},
       {"half precision",
        tensor(R"("dtype":"F16","shape":[4],"data_offsets":[0,8])"),
        {"'w'", "F16", "convert"}},
       {"shape not the size",
        tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"),
        {"not its size"}},
       {"negative shape",
        tensor(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"),
        {"damaged shape"}},
       {"fractional shape",
        tensor(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"),
        {"damaged shape"}},
       {"overflowing shape",
        tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])"),
        {"larger than the file"}},
       {"negative offsets",
        tensor(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"),
        {"damaged offsets"}},
       {"three offsets",
        tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,4,8])"),
        {"damaged description"}},
       {"offsets the wrong way",
        tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"),
        {"outside the file"}},
       {"offsets outside",
        tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"),
        {"outside the file"}},
       {"bytes of no tensor",
        tensor(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"),
        {"4 bytes that belong to no tensor"}},
       {"a gap",
        tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"),
        {"gap before tensor 'w'"}},
       {"overlap",
        file(
            R"({"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
        {"'w'", "overlaps"}},
       {"a tensor twice",
        file(
            R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
        {"'w' twice"}},
       {"a wrong checksum",
        file(
            R"({"__metadata__":{"checksum":"0123456789abcdef","checksum_kind":"xxh3-64"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"),
        {"checksum"}},
       {"a checksum not in its place",
        file(
            R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"checksum":"0123456789abcdef"}})"),
        {"checksum"}},
       {"a checksum cut by the end of the header",
        file(R"({"__metadata__":{"checksum":"0"}})"),
        {"checksum"}}},
      [](const std::string& bytes) { parse_safetensors(bytes, "x.safetensors"); });
}

TEST_CASE("bad input: settings in a file") {
  check_refused(
      "config.toml",
      {{"no TOML", "batch = \n", {"config.toml:1:", "not TOML"}},
       {"no TOML, later", "batch = 4\nlr 3\n", {":2:", "not TOML"}},
       {"a key twice", "batch = 4\nbatch = 4\n", {":2:", "not TOML"}},
       {"not UTF-8", "model = \"\xFF\"\n", {"not TOML"}},
       {"a NUL byte", std::string("batch\0 = 4\n", 11), {"not TOML"}},
       {"a deep nest", "a = " + std::string(100000, '['), {"not TOML"}},
       {"an unknown key", "epochs = 2\nbatchsize = 4\n", {":2:", "'batchsize'", "'batch'"}},
       {"an unknown table", "[training]\nbatch = 4\n", {":2:", "'training.batch'", "'batch'"}},
       {"an empty table", "[taus]\n", {":1:", "'taus'", "'tau'"}},
       {"one setting by two names",
        "batch_size = 9\nlr = 1\nbatch = 8\n",
        {":3:", "'batch_size' and 'batch'", "same setting"}},
       {"the first wrong line of two", "tau = 0\nbatch = 0\n", {":1:", "tau"}},
       {"tau of zero", "tau = 0\n", {"'tau'", "at least 1e-06"}},
       {"tau of nan", "tau = nan\n", {"'tau'"}},
       {"lr of inf", "lr = inf\n", {"'lr'"}},
       {"lr in words", "lr = 'fast'\n", {"'lr'", "number"}},
       {"batch of zero", "batch = 0\n", {"'batch'", "1 to 2147483647"}},
       {"batch with a fraction", "batch = 2.5\n", {"'batch'", "whole number"}},
       {"batch in quotes", "batch = '8'\n", {"'batch'", "whole number"}},
       {"batch of true", "batch = true\n", {"'batch'", "whole number"}},
       {"a huge number", "seed = 99999999999999999999\n", {"not TOML"}},
       {"a negative seed", "seed = -1\n", {"'seed'", "0 to"}},
       {"a list for a number", "epochs = [1]\n", {"'epochs'", "whole number"}},
       {"layers of 65", "layers = 65\n", {"0 to 64"}},
       {"an unknown model",
        "model = 'sgl'\n",
        {"'sgl' is not available", "alpharec, linear, lightgcn, mf"}},
       {"an unknown projector", "projector = 'cnn'\n", {"mlp, linear"}},
       {"an unknown objective", "objective = 'bce'\n", {"infonce, bpr, softmax, inbatch"}},
       {"an unknown score", "score = 'l2'\n", {"cosine, dot"}},
       {"an unknown sampling", "sampling = 'item'\n", {"user, interaction, random_user"}},
       {"an unknown distribution",
        "negative_distribution = 'zipf'\n",
        {"not available", "uniform, popularity"}},
       {"an exponent of 0", "negative_exponent = 0\n", {"greater than 0"}},
       {"an exponent of 5", "negative_exponent = 5\n", {"at most 4"}},
       {"an unknown mask", "mask = 'all'\n", {"others, train"}},
       {"another precision", "precision = 'fp16'\n", {"not available", "fp32, tf32, bf16"}},
       {"reg below 0", "reg = -1e-4\n", {"'reg'", "at least 0"}},
       {"a projector of 5 layers", "projector_layers = 5\n", {"'projector_layers'", "0 to 4"}},
       {"layers of a projector in words", "[projector]\nlayers = 'two'\n", {"whole number"}},
       {"a deviation below 0", "init_std = -0.1\n", {"'init_std'", "at least 0"}},
       {"shares of words", "domain_shares = ['a']\n", {"'domain_shares'", "greater than 0"}},
       {"a share of nothing", "domain_shares = [1, 0]\n", {"'domain_shares'", "greater than 0"}},
       {"one share alone", "domain_shares = 2\n", {"'domain_shares'", "list of numbers"}},
       {"a domain by number", "monitor_domain = 1\n", {"'monitor_domain'", "text"}},
       {"compat with something else", "compat = 'recbole'\n", {"none, alpharec-release"}},
       {"reg in words", "regs = 'much'\n", {"'regs'"}},
       {"reg of false", "regs = false\n", {"'regs'"}},
       {"an unknown metric", "monitor = 'auc@20'\n", {"'auc@20'", "recall"}},
       {"a metric without its cut-off", "monitor = 'recall'\n", {"cut-off"}},
       {"a cut-off of zero", "monitor = 'recall@0'\n", {"'recall@0'"}},
       {"a cut-off in words", "monitor = 'recall@ten'\n", {"'recall@ten'"}},
       {"no cut-offs", "topk = []\n", {"'topk'", "list"}},
       {"a cut-off twice", "topk = [5, 10, 5]\n", {"5 twice"}},
       {"cut-offs in words", "topk = [5, 'ten']\n", {"whole numbers"}}},
      [](const std::string& bytes) {
        Config config;
        apply_config_text(config, bytes, "config.toml");
      });
}

TEST_CASE("bad input: single settings") {
  for (const auto& [setting, word] :
       std::vector<std::pair<std::string, std::string>>{{"batch", "key=value"},
                                                        {"=4", "key=value"},
                                                        {"batch=", "whole number"},
                                                        {"batch=many", "whole number"},
                                                        {"batch=0", "1 to"},
                                                        {"taau=1", "'tau'"},
                                                        {"batch=4\nlr=1", "one setting"},
                                                        {"model=alpha", "alpharec, linear"}}) {
    CAPTURE(setting);
    Config config;
    CHECK_THAT(refusal([&, &one = setting] { apply_setting(config, one); }),
               Catch::StartsWith(setting + ": ") && Catch::Contains(word));
  }
}

}  // namespace
}  // namespace rec::test
