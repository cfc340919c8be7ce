// The small dataset of put_small_dataset() (files.h) as arrays.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "host/library/memory_dataset.h"

namespace rec::test {

struct SmallArrays {
  HostCsr train{4, 6, {0, 3, 5, 7, 8}, {0, 1, 2, 1, 3, 0, 3, 2}};
  HostCsr valid{3, 6, {0, 1, 2, 3}, {3, 0, 1}};
  HostCsr test{4, 6, {0, 1, 2, 2, 4}, {4, 2, 0, 1}};
  std::shared_ptr<float> language{new float[12]{1, 0, 0, 1, 1, 1, -1, 0, 0, -1, 2, 1},
                                  std::default_delete<float[]>()};
  int64_t language_items = 6;
  std::vector<std::string> user_ids, item_ids{"a", "b", "c", "d", "e", "f"};
  std::vector<std::string> titles{"One", "Two", "Three", "Four", "Five", "Six"};

  // Views of this, which must outlive what is made of them.
  DatasetArrays arrays() const {
    DatasetArrays all;
    all.train = train.view();
    all.valid = valid.view();
    all.test = test.view();
    all.language = language;
    all.language_items = language_items;
    all.language_width = 2;
    all.user_ids = user_ids;
    all.item_ids = item_ids;
    all.item_titles = titles;
    return all;
  }
};

}  // namespace rec::test
