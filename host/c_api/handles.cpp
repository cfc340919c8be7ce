#include "host/c_api/handles.h"

#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace rec::c_api {
namespace {

class Registry {
 public:
  void* add(std::shared_ptr<Object> object) {
    const std::lock_guard lock(mutex_);
    const uintptr_t number = next_;
    alive_.emplace(number, std::move(object));
    next_ += 2;
    return reinterpret_cast<void*>(number);
  }

  std::shared_ptr<Object> find(const void* handle) const {
    const std::lock_guard lock(mutex_);
    const auto at = alive_.find(reinterpret_cast<uintptr_t>(handle));
    return at == alive_.end() ? nullptr : at->second;
  }

  bool remove(const void* handle) {
    const std::lock_guard lock(mutex_);
    return alive_.erase(reinterpret_cast<uintptr_t>(handle)) > 0;
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<uintptr_t, std::shared_ptr<Object>> alive_;
  uintptr_t next_ = 1;
};

// Never destroyed, as threads may still call when a process ends.
Registry& registry() {
  static Registry& one = *new Registry;
  return one;
}

[[noreturn]] void refuse(const char* kind, const std::string& given) {
  throw std::invalid_argument(std::string(kind) + ": expected a handle, given " + given);
}

}  // namespace

void* handle_of(std::shared_ptr<Object> object) { return registry().add(std::move(object)); }

std::shared_ptr<Object> object_of(const void* handle, const char* kind) {
  if (handle == nullptr) refuse(kind, "NULL");
  std::shared_ptr<Object> object = registry().find(handle);
  if (object == nullptr) refuse(kind, "one that was freed, or never was");
  return object;
}

void release(const void* handle) {
  // Another thread may have been faster since the caller looked.
  if (!registry().remove(handle)) throw std::invalid_argument("free: the handle was freed already");
}

void refuse_kind(const Object& object, const char* kind) {
  refuse(kind, std::string("that of a ") + object.kind());
}

}  // namespace rec::c_api
