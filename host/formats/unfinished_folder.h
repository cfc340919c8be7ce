// A folder that appears whole or not at all: it lies beside its place while it is written.
#pragma once
#include <string>

namespace rec {

// Refuses a folder that is there already, unless it is empty and can give way to another: not the
// current one, nor one that something is mounted on. Links are followed.
void require_free_folder(const std::string& folder);

class UnfinishedFolder {
 public:
  // Throws FileError where require_free_folder() does, or when the folder cannot be made.
  explicit UnfinishedFolder(const std::string& place);
  // Removes what was written unless commit() was called.
  ~UnfinishedFolder();
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const std::string& path() const { return path_; }
  // The folder is at its place after this.
  void commit();

 private:
  std::string place_, path_;
};

}  // namespace rec
