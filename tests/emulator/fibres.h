// The scheduler of the emulation: the threads of one CUDA block as fibres of one host thread.
//
// Blocks run one after another, in the order that REC_EMU_ORDER names (forward, reverse or
// random:SEED), and so do the threads of a block between two places where they wait. What CUDA
// leaves undefined is reported: threads of a block at different barriers, a barrier that some never
// reach, lanes of a warp in different collectives, a shuffle from a lane that is not there.
//
// Shared memory is filled with 0xFF (NaN, -1) at the start of a block and has red zones under
// AddressSanitizer. Under ThreadSanitizer the CUDA threads are threads, ordered with others by
// barriers and collectives alone; a block is ordered after those that ran long before it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

#include <vector_types.h>

namespace rec::emulator {

// What a kernel did wrong, in one sentence, with block, thread, and who waits where.
struct Error : std::runtime_error {
  using runtime_error::runtime_error;
};

enum class Order { forward, reverse, random };
struct Schedule {
  Order order = Order::random;
  uint64_t seed = 1;
};
// Read from REC_EMU_ORDER when the program starts.
// Throws std::invalid_argument naming the variable when it says anything else.
const Schedule& schedule();
// What REC_EMU_ORDER=text says.
Schedule schedule_of(const char* text);
// From here on: the same seed gives the same orders again.
void set_schedule(Schedule chosen);

// A number below n from the schedule's seed: which of n possible things happens next.
uint64_t choose(uint64_t n);

// Runs body, the threads of `kernel`, once per thread of every block. Throws Error.
void run_grid(dim3 grid, dim3 block, size_t dynamic_shared_bytes, const std::function<void()>& body,
              const void* kernel);

// The most shared memory that a block may ask for, in bytes (compute capability 9.0).
inline constexpr size_t kMostShared = 227 * 1024;
inline constexpr size_t kMostStaticShared = 48 * 1024;

// ---- what the running thread may call ----

struct Place {
  const char* file;
  int line;
};

// A static shared array: found again by every thread of the block.
struct SharedSlot {
  size_t size, align;
  void* memory;
  uint64_t block;  // the block it was made for
};
void* shared_array(SharedSlot& slot);
void* dynamic_shared();

// Where the running thread stands, for whoever watches what threads ask of memory (bench/traffic).
// What the lanes of a warp do between two of its meetings they may do at the same time.
struct Position {
  const void* kernel;  // what was launched
  uint64_t block;      // counts the blocks of all grids
  int thread;          // thread_of_block()
  unsigned meetings;   // of all lanes of the warp that have not returned, in this block so far
};
Position position();
// True for shared memory of the running block.
bool is_shared_memory(const void* p);

unsigned lane();
// The thread's number in its block; -1 between blocks.
int thread_of_block();
void yield();
// Now and then lets another thread run: atomics are where threads may overtake each other.
void preempt();
[[noreturn]] void fail(const char* what, Place place);

enum class Vote { none, count, any, all };
// Waits until all threads of the block are here. Returns the sum of their values.
int block_barrier(Vote vote, int value, const char* what, Place place);

// Arrives at a collective of the lanes in mask. The last to arrive gets true with every lane's in
// and out, makes the results and calls warp_done. mask loses the lanes that do not exist.
bool warp_arrive(unsigned& mask, const void* in, void* out, const char* what, Place place,
                 const void** ins, void** outs);
void warp_done(unsigned mask);

// cp.async: the copy happens when it is waited for, so that a missing wait reads poison.
void copy_async(void* to, const void* from, int bytes);
void copy_async_commit();
void copy_async_wait(int groups_left);

}  // namespace rec::emulator
