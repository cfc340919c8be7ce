// Keeps a second process out of a folder that one writes to. data/journal.py takes the same lock.
#pragma once
#include <string>
#include <utility>

#include "engine/remedy.h"

namespace rec {

// Held until it is destroyed or the process ends, however it ends: the system lets go of it then,
// and no file tells of it.
class FolderLock {
 public:
  // when_held: the sentence of the refusal when another holds it
  explicit FolderLock(std::string when_held, Remedy remedy = Remedy::none)
      : when_held_(std::move(when_held)), remedy_(remedy) {}
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // Nothing happens where there is no folder yet, where its file system knows no locks, or where
  // this holds it already. Throws FileError when another holds it.
  void take(const std::string& folder);

 private:
  std::string when_held_;
  Remedy remedy_;
  int folder_ = -1;
};

}  // namespace rec
