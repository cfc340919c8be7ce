// What the files of other programs are called that `rec_engine convert` writes and `prepare` reads.
#pragma once
#include <array>
#include <string_view>

namespace rec {

// The parts of a split, in the order of Split (dataset.h).
inline constexpr std::array<std::string_view, 3> kSplitNames = {"train", "valid", "test"};

// LightGCN: lines of a user and her items in numbers, and what the numbers stand for.
inline constexpr std::array<std::string_view, 3> kSplitFiles = {"train.txt", "valid.txt",
                                                                "test.txt"};
inline constexpr std::string_view kUserList = "user_list.txt", kItemList = "item_list.txt";

inline constexpr std::string_view kCsvInteractions = "interactions.csv", kCsvItems = "items.csv";

// RecBole: NAME.inter, or NAME.train.inter and so on; NAME.item.
inline constexpr std::string_view kAtomicInteractions = ".inter", kAtomicItems = ".item";

}  // namespace rec
