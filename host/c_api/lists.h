// Lists and metrics into the caller's arrays.
#pragma once
#include <cstdint>

#include "engine/evaluator.h"
#include "engine/ranker.h"

namespace rec::c_api {

// k from 1 on, and no more than ids can number; throws std::invalid_argument.
void require_list_length(int64_t k);

// [lists.rows, k]: a list that is shorter than k is filled up with item -1 and score -infinity. Either may be null.
void give_lists(const TopLists& lists, int64_t k, int32_t* out_item, float* out_score);

// As rec_evaluate says of them.
void give_metrics(const Evaluation& evaluation, double* out_mean, double* out_user, int64_t* users);

}  // namespace rec::c_api
