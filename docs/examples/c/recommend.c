// Trains a small model on a dataset folder into a run folder, and prints a user's list:
//   recommend DATA RUN USER
#include <rec_engine/rec.h>
#include <stdio.h>
#include <stdlib.h>

static void check(rec_status status) {
  if (status == REC_OK) return;
  fprintf(stderr, "recommend: %s\n", rec_last_error());
  exit(1);
}

static int print_epoch(const rec_epoch* epoch, void* user_data) {
  (void)user_data;
  printf("epoch %d: loss %.3f\n", (int)epoch->epoch, epoch->loss);
  return 0;  // go on
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: recommend DATA RUN USER\n");
    return 2;
  }
  rec_dataset* data = NULL;
  check(rec_dataset_load(argv[1], NULL, &data));

  const char* settings[] = {"epochs=1", "width=16", "hidden=32", "negatives=16"};
  rec_train_options training = {0};
  training.settings = settings;
  training.settings_count = sizeof settings / sizeof *settings;
  training.on_epoch = print_epoch;
  check(rec_train(data, argv[2], &training));

  rec_model* model = NULL;
  check(rec_model_load(argv[2], data, NULL, &model));

  enum { K = 5 };
  int32_t user, item[K];
  float score[K];
  rec_list_options lists = {0};
  lists.k = K;
  check(rec_dataset_find(data, REC_USER_ID, argv[3], &user));
  check(rec_model_recommend(model, &user, 1, &lists, item, score));
  for (int place = 0; place < K && item[place] >= 0; ++place) {
    char title[200];
    check(rec_dataset_name(data, REC_ITEM_TITLE, item[place], title, sizeof title, NULL));
    printf("%d. %s (%.3f)\n", place + 1, title, score[place]);
  }
  check(rec_model_free(model));
  check(rec_dataset_free(data));
  return 0;
}
