// What memory there is, asked before anything large is allocated.
#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

#include "engine/backend.h"

namespace rec {

// Bytes this process may still take: what the system calls available, or less under a control
// group's limit, or under a limit of the address space (less what is mapped already).
int64_t available_memory();
// Bytes that the backend may still take: of its own memory, or of the process's.
int64_t available_memory(const Backend& backend);

// "62.1 MiB", "256 B"
std::string bytes_text(int64_t bytes);

class NotEnoughMemory : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws NotEnoughMemory naming both figures when needed exceeds what the backend may take.
void require_memory(const Backend& backend, int64_t needed, const std::string& what);

}  // namespace rec
