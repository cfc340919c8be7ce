// rec_engine for C: rank, evaluate, sample, propagate and differentiate over arrays of the caller's;
// read datasets, train models, and serve what was trained. The words are those of
// docs/architecture.md, the functions in order in docs/c_and_cpp.md, and an example program in
// docs/examples/c.
//
// Results. Every function returns a rec_status: REC_OK, or what kind of thing went wrong, and then
// rec_last_error() has one sentence about it. Nothing is thrown, printed or aborted. A null pointer
// where none is allowed is REC_INVALID_ARGUMENT. After a failure what a function writes to holds
// anything, but a place for a new handle holds NULL.
//
// Handles. rec_dataset, rec_model, rec_graph and rec_sampler are made by functions whose last
// argument is the place of the new handle, and live until their free function. A handle is a number
// and is never given out twice: one that was freed, one of another kind, and one that never was are
// all refused with REC_INVALID_ARGUMENT. Freeing NULL does nothing.
//
// Arrays. Numbers of users and items are the engine's own, from 0. Arrays are read and written where
// they lie, in the computer's memory, one value after another, outermost dimension first; shapes
// stand in brackets. They need to live as long as the call, unless a function says otherwise, and
// what is written may not overlap what is read. Sizes are checked against each other, and all ids
// and offsets; that an array is as long as its size says cannot be.
//
// Threads. Any function may be called by any thread at any time. A model answers one call after the
// other. A handle that is freed while a call uses it goes when the call returns.
//
// Texts are UTF-8 and end with a 0. A function that gives one takes a buffer and its capacity, 0 and
// NULL to ask for the length alone: written is what fits, with a 0 behind it, and *length, which may
// be NULL, says how many bytes the whole text has without that 0.
//
// Of every struct, values of 0 mean the default; so begin with = {0}.
#ifndef REC_ENGINE_REC_H
#define REC_ENGINE_REC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Functions and structs of this version stay as they are; symbols have the version REC_1.
#define REC_API_VERSION 1

typedef int32_t rec_status;
enum {
  REC_OK = 0,
  REC_INVALID_ARGUMENT = 1,  // wrong use: the sentence says what is expected and what was given
  REC_NOT_FOUND = 2,         // no user or item has such an id
  REC_OUT_OF_MEMORY = 3,
  REC_UNAVAILABLE = 4,  // a device that this machine or this build does not have
  REC_FILE = 5,         // a file or a dataset that cannot be used
  REC_INTERRUPTED = 6,  // rec_train_options.on_step said so, and all is saved
  REC_FAILED = 7        // anything else: a loss that is no longer finite, for example
};

// "0.1.0", as rec_engine --version has it.
const char* rec_version(void);
// The sentence of this thread's last failed call, cut at 2000 bytes; "" before the first. Valid until
// the thread's next failed call.
const char* rec_last_error(void);

// How many threads operations run with, 0 for all processors: the start. A training takes this unless
// its settings name threads, a model what was set when it was loaded. In a child of fork() it is one.
rec_status rec_set_threads(int32_t threads);
rec_status rec_threads(int32_t* threads);

// ---- arrays ----

// [rows, cols]; row r begins at data + r * stride. Stride in values, 0 for cols.
typedef struct rec_matrix {
  const float* data;
  int64_t rows, cols, stride;
} rec_matrix;

// Interactions, a sparse 0/1 matrix [users, items]: user r has items[row_start[r]] to
// items[row_start[r + 1] - 1]. Offsets begin with 0, ascend and end with entries; each user's items
// ascend and are there once, unless a function says otherwise.
typedef struct rec_csr {
  int64_t users, items, entries;
  const int64_t* row_start;  // [users + 1]
  const int32_t* item;       // [entries]
} rec_csr;

// ---- ranking and evaluation ----

typedef int32_t rec_score;
enum { REC_DOT = 0, REC_COSINE = 1 };

#define REC_MAX_MASKS 3

// Vectors to rank by.
typedef struct rec_vectors {
  rec_matrix user;  // [users, dim]
  rec_matrix item;  // [items, dim]
  rec_score score;
} rec_vectors;

// The k best items of users, exactly: every item is scored, and of equal scores the smaller id comes
// first. users [count], or NULL for all, and then count is not looked at. What a user has in one of
// the masks, [users, items] each and at most REC_MAX_MASKS, is left out of her list, and so is every
// item whose flag in allowed [items], unless that is NULL, is 0. out_item and out_score
// [count, k], either of which may be NULL: best first, filled up with item -1 and score -infinity.
rec_status rec_topk(const rec_vectors* vectors, const int32_t* users, int64_t count, int64_t k,
                    const rec_csr* masks, int64_t mask_count, const uint8_t* allowed,
                    int32_t* out_item, float* out_score);

// The values of an evaluation at one cut-off, in this order; docs/protocol.md defines them.
enum {
  REC_RECALL = 0,
  REC_NDCG = 1,
  REC_HR = 2,
  REC_PRECISION = 3,
  REC_MAP = 4,
  REC_MRR = 5,
  REC_METRICS = 6
};

// All-ranking evaluation. test and masks [users, items]; cutoffs [cutoff_count], 1 or more each.
// out_mean [cutoff_count, REC_METRICS]: means over the users with at least one item in test, of whom
// there are *users, which may be NULL. out_user [those users, cutoff_count, REC_METRICS]: each one's
// values, by number; or NULL.
rec_status rec_evaluate(const rec_vectors* vectors, const rec_csr* test, const rec_csr* masks,
                        int64_t mask_count, const int64_t* cutoffs, int64_t cutoff_count,
                        double* out_mean, double* out_user, int64_t* users);

// ---- parts of a training step ----

// A training graph. Its memory is its own: interactions need not stay. An item may stand in a row
// several times, and is as many edges.
typedef struct rec_graph rec_graph;
rec_status rec_graph_create(const rec_csr* interactions, rec_graph** graph);
rec_status rec_graph_free(rec_graph* graph);

// 1 / (layers + 1) sum over k = 0 .. layers of A~^k x; its own adjoint. x and out [users + items,
// width], users first.
rec_status rec_graph_propagate(const rec_graph* graph, int32_t layers, const rec_matrix* x,
                               float* out);
// The mean of x's rows [items, width] over each user's items, 0 for users without any: out
// [users, width]. And its adjoint: grad [users, width], out [items, width].
rec_status rec_graph_mean_rows(const rec_graph* graph, const rec_matrix* x, float* out);
rec_status rec_graph_mean_rows_adjoint(const rec_graph* graph, const rec_matrix* grad, float* out);

typedef struct rec_sampling {
  int64_t batch;             // rows; from 1 to the interactions there are
  int64_t negatives;         // per row; 1 or more
  uint64_t seed;             // draws are a function of seed, epoch, step, row and draw alone
  const char* rule;          // NULL or "user", "interaction" or "random_user"
  const char* distribution;  // of negatives: NULL or "uniform", or "popularity"
  double exponent;           // of popularity; 0 for 0.75
} rec_sampling;

// Draws what training draws. Its memory is its own.
typedef struct rec_sampler rec_sampler;
rec_status rec_sampler_create(const rec_csr* interactions, const rec_sampling* sampling,
                              rec_sampler** sampler);
rec_status rec_sampler_free(rec_sampler* sampler);
// Which steps an epoch has. Steps after its last are drawn like any other.
rec_status rec_sampler_steps(const rec_sampler* sampler, int64_t* steps_per_epoch);
// Both from 0 and below 2^32. out_user and out_positive [batch], out_negative [batch, negatives].
rec_status rec_sampler_draw(const rec_sampler* sampler, int64_t epoch, int64_t step,
                            int32_t* out_user, int32_t* out_positive, int32_t* out_negative);

typedef int32_t rec_objective;
enum { REC_INFONCE = 0, REC_BPR = 1 };

typedef struct rec_batch {
  int64_t rows, negatives;  // 1 or more; BPR takes one negative a row
  const int32_t* user;      // [rows]
  const int32_t* positive;  // [rows], items
  const int32_t* negative;  // [rows, negatives], items
  rec_objective objective;
  float tau;  // of REC_INFONCE, above 0: there is no default
} rec_batch;

// The mean loss of a batch over vectors that are not yet normalised, and its derivatives by them:
// grad_user [users, dim] and grad_item [items, dim].
rec_status rec_batch_loss(const rec_vectors* vectors, const rec_batch* batch, double* loss,
                          float* grad_user, float* grad_item);

// ---- datasets ----

typedef struct rec_dataset rec_dataset;

// A dataset folder or the authors' tree (docs/data.md). language: which vectors of the latter, or
// NULL.
rec_status rec_dataset_load(const char* folder, const char* language, rec_dataset** dataset);

typedef struct rec_arrays {
  const char* name;       // or NULL for "data": what sentences call it
  rec_csr train;          // the items of a row in any order; repeats count once
  rec_csr valid, test;    // likewise; may have fewer users and items, or none at all
  rec_matrix language;    // [items, width], or 0 rows for none
  int64_t user_id_count;  // 0, or the users there are; and so on
  int64_t item_id_count;
  int64_t item_title_count;
  const char* const* user_id;
  const char* const* item_id;
  const char* const* item_title;
} rec_arrays;

// Copies all that it takes.
rec_status rec_dataset_from_arrays(const rec_arrays* arrays, rec_dataset** dataset);
rec_status rec_dataset_free(rec_dataset* dataset);

// Each of the three may be NULL. language_width is 0 where there are no language vectors.
rec_status rec_dataset_size(const rec_dataset* dataset, int64_t* users, int64_t* items,
                            int64_t* language_width);

// The splits, as bits where a function takes several.
typedef uint32_t rec_split;
enum { REC_TRAIN = 1, REC_VALID = 2, REC_TEST = 4 };

// Views of the dataset's own memory: until it is freed.
rec_status rec_dataset_split(const rec_dataset* dataset, rec_split split, rec_csr* interactions);
rec_status rec_dataset_language(const rec_dataset* dataset, rec_matrix* vectors);

typedef int32_t rec_name;
enum { REC_USER_ID = 0, REC_ITEM_ID = 1, REC_ITEM_TITLE = 2 };

// What a user or an item is called outside; her number, where the dataset has no names.
rec_status rec_dataset_name(const rec_dataset* dataset, rec_name which, int64_t number, char* text,
                            int64_t capacity, int64_t* length);
// And back, of REC_USER_ID and REC_ITEM_ID; REC_NOT_FOUND where no one is called so.
rec_status rec_dataset_find(const rec_dataset* dataset, rec_name which, const char* id,
                            int32_t* number);

// ---- training ----

// One evaluation of a training.
typedef struct rec_epoch {
  int64_t epoch;  // from 1
  double loss;    // mean over the epoch's steps
  double seconds;
  int64_t metric_count;            // 0 where there is no validation split
  const char* const* metric_name;  // "recall@20"
  const double* metric;            // on validation
} rec_epoch;

typedef struct rec_train_options {
  const char* const* settings;  // "key=value", over the dataset's own (docs/settings.md)
  int64_t settings_count;
  const char* device;  // "auto", which NULL is too, "cpu", "cuda" or "cuda:N"
  int32_t resume;      // not 0: goes on from where the run folder stands
  int32_t overwrite;   // not 0: takes the place of the run in the folder
  // Both may be NULL, run in the caller's thread, may call this library, and must return normally.
  // After each evaluation, when all is saved; not 0 ends the training as early stopping does.
  int (*on_epoch)(const rec_epoch* epoch, void* user_data);
  // After each step; not 0 interrupts: all is saved for resume, and rec_train returns REC_INTERRUPTED.
  int (*on_step)(void* user_data);
  void* user_data;
} rec_train_options;

// Trains on the dataset into the run folder, which host/README.md describes, and prints nothing.
// options: NULL for the defaults.
rec_status rec_train(const rec_dataset* dataset, const char* folder,
                     const rec_train_options* options);

// The settings that a training would have, every key, as TOML. dataset: NULL for any.
rec_status rec_settings(const rec_dataset* dataset, const char* const* settings,
                        int64_t settings_count, char* text, int64_t capacity, int64_t* length);

// ---- trained models ----

typedef struct rec_model rec_model;

// run: a run folder, a checkpoint or a folder of .npy weights. dataset: what to serve, NULL for what
// the run was trained on, which must still be where it was; the model keeps it. device: as above.
rec_status rec_model_load(const char* run, const rec_dataset* dataset, const char* device,
                          rec_model** model);
rec_status rec_model_free(rec_model* model);

// Each of the three may be NULL. dim: of its vectors.
rec_status rec_model_size(const rec_model* model, int64_t* users, int64_t* items, int64_t* dim);
// A handle of its own, which may outlive the model's.
rec_status rec_model_dataset(const rec_model* model, rec_dataset** dataset);
// The settings it was trained with, as TOML; and what a person should know of how it was loaded, a
// line each.
rec_status rec_model_settings(const rec_model* model, char* text, int64_t capacity,
                              int64_t* length);
rec_status rec_model_notices(const rec_model* model, char* text, int64_t capacity, int64_t* length);

// What lists hold.
typedef struct rec_list_options {
  int64_t k;               // 0 for 10; out_item and out_score have so many columns
  uint32_t leave_out;      // splits whose items are left out; 0 for all three
  int32_t keep_all;        // not 0: nothing is left out
  const uint8_t* allowed;  // [items], 0 = never shown; or NULL for all
} rec_list_options;

// Lists of count users: out_item and out_score [count, k], either of which may be NULL: best first,
// filled up with item -1 and score -infinity. options: NULL for the defaults.
rec_status rec_model_recommend(const rec_model* model, const int32_t* users, int64_t count,
                               const rec_list_options* options, int32_t* out_item,
                               float* out_score);
// The same, moved towards language vectors [1 or count, language width] (an intention), by alpha
// from 0 to 1; exact not 0: by propagating again.
rec_status rec_model_recommend_towards(const rec_model* model, const int32_t* users, int64_t count,
                                       const rec_matrix* query, double alpha, int32_t exact,
                                       const rec_list_options* options, int32_t* out_item,
                                       float* out_score);
// Lists of people the model never saw, by their items: histories [people, items], the items of a row
// in any order, repeats counted once, none empty. What is left out is the history itself, unless
// keep_all says nothing is. exact not 0: in training's graph rebuilt with each of them in it.
// out_item, out_score [people, k].
rec_status rec_model_recommend_histories(const rec_model* model, const rec_csr* histories,
                                         int32_t exact, const rec_list_options* options,
                                         int32_t* out_item, float* out_score);
// The nearest other items to each of count items; of the options k and allowed count. As above.
rec_status rec_model_similar(const rec_model* model, const int32_t* items, int64_t count,
                             const rec_list_options* options, int32_t* out_item, float* out_score);

// What scores are inner products of: out_user [users, dim], out_item [items, dim]; either may be
// NULL.
rec_status rec_model_vectors(const rec_model* model, float* out_user, float* out_item);

// As rec_evaluate; leave_out: splits, or 0 for none.
rec_status rec_model_evaluate(const rec_model* model, const rec_csr* test, uint32_t leave_out,
                              const int64_t* cutoffs, int64_t cutoff_count, double* out_mean,
                              double* out_user, int64_t* users);

// A run folder that carries its dataset with it, and is loaded with dataset NULL wherever it lies.
rec_status rec_model_save(const rec_model* model, const char* folder);

#ifdef __cplusplus
}
#endif

#endif
