// What handles stand for.
//
// A handle is a number in a pointer's place, odd, so that no object's address is one, and counted up, so that none is
// given out twice. It is looked up with every call, never followed.
#pragma once
#include <memory>

namespace rec::c_api {

class Object {
 public:
  virtual ~Object() = default;
  virtual const char* kind() const = 0;  // "graph"
};

// handle: for sentences what was asked for is called kind. Throw std::invalid_argument where the handle is null or not
// alive.
void* handle_of(std::shared_ptr<Object> object);
std::shared_ptr<Object> object_of(const void* handle, const char* kind);
void release(const void* handle);
[[noreturn]] void refuse_kind(const Object& object, const char* kind);

// T: an Object with its type of handle, Handle, and kKind. It lives until the last of these is gone, whoever frees the
// handle meanwhile.
template <class T>
std::shared_ptr<T> get(const typename T::Handle* handle) {
  const std::shared_ptr<Object> object = object_of(handle, T::kKind);
  std::shared_ptr<T> wanted = std::dynamic_pointer_cast<T>(object);
  if (wanted == nullptr) refuse_kind(*object, T::kKind);
  return wanted;
}

template <class T>
typename T::Handle* enlist(std::shared_ptr<T> object) {
  return static_cast<typename T::Handle*>(handle_of(std::move(object)));
}

// Null is let pass.
template <class T>
void free_handle(typename T::Handle* handle) {
  if (handle == nullptr) return;
  const std::shared_ptr<T> last = get<T>(handle);  // goes when no lock is held
  release(handle);
}

}  // namespace rec::c_api
