// Keeps a second training out of a run folder.
#pragma once
#include <string>

namespace rec {

// Held until it is destroyed or the process ends, however it ends: the system lets go of it then,
// and no file tells of it.
class FolderLock {
 public:
  FolderLock() = default;
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

  // Nothing happens where there is no folder yet, where its file system knows no locks, or where
  // this holds it already. Throws FileError when another holds it.
  void take(const std::string& folder);

 private:
  int folder_ = -1;
};

}  // namespace rec
