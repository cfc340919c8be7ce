// Built without ThreadSanitizer's instrumentation: the scheduler's own bookkeeping is not what is
// checked, and would hide what is. AddressSanitizer and UndefinedBehaviorSanitizer may see it.
#include "tests/emulator/fibres.h"

#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include <vector_functions.h>

#if defined(__has_feature)
#define REC_HAS_FEATURE(name) __has_feature(name)
#else
#define REC_HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || REC_HAS_FEATURE(address_sanitizer)
#define REC_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define REC_ASAN 0
#endif
#if defined(REC_EMULATOR_TSAN)  // this file itself is not instrumented
#define REC_TSAN 1
#include <sanitizer/tsan_interface.h>
#else
#define REC_TSAN 0
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace rec::emulator {
namespace {

enum class State : uint8_t { ready, at_barrier, at_warp, done };

struct PendingCopy {
  void* to;
  const void* from;
  int bytes, group;
};

// A CUDA thread of the running block, or (main_fibre) whoever runs the grid.
struct Fibre {
  void* stack_pointer = nullptr;
#if !defined(__x86_64__)
  ucontext_t context;
#endif
  char* stack = nullptr;
  size_t stack_size = 0;
  void* fake_stack = nullptr;  // AddressSanitizer's
  void* tsan_fibre = nullptr;  // ThreadSanitizer's
  uint3 index{};               // threadIdx
  unsigned number = 0;         // in its block
  State state = State::done;
  const char* waits_in = "";
  Place waits_at{"", 0};
  static constexpr int kMostCopies = 128;
  PendingCopy copies[kMostCopies];
  int copy_count = 0, copy_group = 0;
};

struct Warp {
  unsigned valid, exited, arrived, next_generation, meetings;
  unsigned mask[32], generation[32];
  const void* in[32];
  void* out[32];
};

constexpr size_t kArenaBytes = 512 * 1024;
constexpr size_t kRedZone = 64;
constexpr size_t kPage = 4096;
constexpr size_t kStackBytes = REC_ASAN ? 256 * 1024 : 64 * 1024;
constexpr unsigned kMostThreads = 1024;

Fibre main_fibre;
Fibre* current = &main_fibre;
// Never destroyed: what it holds stays reachable for LeakSanitizer.
std::vector<Fibre*>& all_fibres = *new std::vector<Fibre*>;
Fibre** fibres = nullptr;  // those of the running block, by their number in it
Warp warps[kMostThreads / 32];
unsigned ready[kMostThreads], first_ready, ready_count;  // a ring
unsigned alive, thread_count;

struct Barrier {
  unsigned arrived, generation;
  int sum, result;
  Vote vote;
  Place place;
} barrier;

const std::function<void()>* body = nullptr;
const void* running_kernel = nullptr;
char* arena = nullptr;
size_t arena_used, static_used;
char* dynamic_memory;
uint64_t block_count = 0;                       // of all grids so far: names the running block
[[maybe_unused]] char* sync_objects = nullptr;  // the running block's
uint64_t random_state = 0;                      // of the schedule's seed
std::string error;
bool failing = false;

uint64_t next_random() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state;
}

// memset that no sanitizer sees.
void fill(void* memory, size_t bytes, unsigned char value) {
#if defined(__x86_64__)
  asm volatile("rep stosb" : "+D"(memory), "+c"(bytes) : "a"(value) : "memory");
#else
  for (size_t i = 0; i < bytes; ++i) static_cast<volatile unsigned char*>(memory)[i] = value;
#endif
}
// Keeps a copying loop from becoming a call of memcpy, which ThreadSanitizer would see.
void hide(const void*& pointer) { asm volatile("" : "+r"(pointer)); }

// Objects that order threads for ThreadSanitizer.
constexpr unsigned kGridStarts = 0, kThreadEnds = 1, kBlockBarrier = 2, kWarps = 4;
constexpr unsigned kGenerations = 16;  // of a warp's collectives before an object is used again
constexpr unsigned kSyncObjects = kWarps + kMostThreads / 32 * kGenerations;
void acquire([[maybe_unused]] unsigned object) {
#if REC_TSAN
  __tsan_acquire(sync_objects + 8 * object);
#endif
}
void release([[maybe_unused]] unsigned object) {
#if REC_TSAN
  __tsan_release(sync_objects + 8 * object);
#endif
}
unsigned warp_object(unsigned warp, unsigned generation) {
  return kWarps + warp * kGenerations + generation % kGenerations;
}

#if defined(__x86_64__)
extern "C" void rec_emulator_switch_stack(void** save, void* to);
asm(R"(.text
.type rec_emulator_switch_stack,@function
rec_emulator_switch_stack:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi); movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");
#endif

void after_switch([[maybe_unused]] Fibre* to) {
#if REC_ASAN
  const void* bottom;
  size_t size;
  __sanitizer_finish_switch_fiber(to->fake_stack, &bottom, &size);
  if (main_fibre.stack == nullptr) {  // the first switch of all comes from the main stack
    main_fibre.stack = const_cast<char*>(static_cast<const char*>(bottom));
    main_fibre.stack_size = size;
  }
#endif
}

__attribute__((noinline)) void switch_to(Fibre* to) {
  Fibre* const from = current;
  if (from == to) return;
  current = to;
  threadIdx = to->index;
#if REC_ASAN
  __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_size);
#endif
#if REC_TSAN
  __tsan_switch_to_fiber(to->tsan_fibre, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
  rec_emulator_switch_stack(&from->stack_pointer, to->stack_pointer);
#else
  swapcontext(&from->context, &to->context);
#endif
  after_switch(from);
}

// The place-th of those ready, in the order in which they became so.
unsigned& ready_at(unsigned place) { return ready[(first_ready + place) % kMostThreads]; }

void make_ready(Fibre* fibre) {
  fibre->state = State::ready;
  ready_at(ready_count++) = fibre->number;
}

Fibre* take_ready() {
  if (ready_count == 0) return nullptr;
  const unsigned last = --ready_count;
  unsigned number = ready_at(last);
  switch (schedule().order) {
    case Order::random: std::swap(number, ready_at(unsigned(next_random() % (last + 1)))); break;
    case Order::reverse: break;
    case Order::forward:
      number = ready_at(0);
      ++first_ready;
      break;
  }
  return fibres[number];
}

std::string name_of_block() {
  return "block (" + std::to_string(blockIdx.x) + "," + std::to_string(blockIdx.y) + "," +
         std::to_string(blockIdx.z) + ")";
}

// Adds to the error where the other threads are, grouped by place.
void describe_waiting() {
  const auto together = [](const Fibre* a, const Fibre* b) {
    return a->state == b->state &&
           (a->state == State::done ||
            (a->waits_at.line == b->waits_at.line && a->waits_in == b->waits_in));
  };
  for (unsigned i = 0; i < thread_count; ++i) {
    const Fibre* one = fibres[i];
    if (one->state == State::ready) continue;
    unsigned first = thread_count, count = 0;
    for (unsigned j = 0; j < thread_count; ++j)
      if (together(one, fibres[j])) first = std::min(first, j), ++count;
    if (first != i) continue;
    error += "\n  " + std::to_string(count) + " thread(s), first " + std::to_string(i) + ", ";
    error += one->state == State::done
                 ? std::string("returned")
                 : std::string("wait in ") + one->waits_in + " at " + one->waits_at.file + ":" +
                       std::to_string(one->waits_at.line);
  }
}

// The running thread cannot go on: another does, or the block is over.
void leave() {
  Fibre* next = take_ready();
  if (next == nullptr) {
    if (alive > 0 && !failing) {
      failing = true;
      error = "deadlock in " + name_of_block() + ":";
      describe_waiting();
    }
    next = &main_fibre;
    release(kThreadEnds);
  }
  switch_to(next);
}

void open_barrier() {
  barrier.result = barrier.sum;
  barrier.arrived = 0;
  barrier.sum = 0;
  ++barrier.generation;
  for (unsigned w = 0; w * 32 < thread_count; ++w) ++warps[w].meetings;
  for (unsigned i = 0; i < thread_count; ++i)
    if (fibres[i]->state == State::at_barrier) make_ready(fibres[i]);
}

void fibre_main() {
  after_switch(current);
  for (;;) {
    acquire(kGridStarts);
    (*body)();
    Fibre* const me = current;
    if (me->copy_count > 0) fail("a thread returned with cp.async copies not waited for", {"", 0});
    if (barrier.arrived > 0)
      fail("a thread returned while others of its block wait at a barrier", {"", 0});
    me->state = State::done;
    --alive;
    warps[me->number / 32].exited |= 1u << me->number % 32;
    release(kThreadEnds);
    leave();
  }
}

// Gives the fibre a fresh stack that will run fibre_main.
void start(Fibre* fibre) {
#if REC_ASAN
  ASAN_UNPOISON_MEMORY_REGION(fibre->stack, fibre->stack_size);
  fibre->fake_stack = nullptr;
#endif
#if defined(__x86_64__)
  // At a function's first instruction rsp is 8 past a multiple of 16.
  void** top = reinterpret_cast<void**>(fibre->stack + fibre->stack_size) - 1;
  *--top = reinterpret_cast<void*>(fibre_main);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  fibre->stack_pointer = top;
#else
  getcontext(&fibre->context);
  fibre->context.uc_stack.ss_sp = fibre->stack;
  fibre->context.uc_stack.ss_size = fibre->stack_size;
  fibre->context.uc_link = nullptr;
  makecontext(&fibre->context, fibre_main, 0);
#endif
}

void add_fibre() {
  auto* fibre = new Fibre;
  void* memory = mmap(nullptr, kStackBytes + kPage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw Error("no memory for a fibre's stack");
  mprotect(memory, kPage, PROT_NONE);
  fibre->stack = static_cast<char*>(memory) + kPage;
  fibre->stack_size = kStackBytes;
  start(fibre);
  all_fibres.push_back(fibre);
}

void* take_from_arena(size_t size, size_t align) {
  align = std::max<size_t>(align, 16);
  arena_used = (arena_used + align - 1) / align * align;
  char* const memory = arena + arena_used;
  arena_used += size + kRedZone;
  if (arena_used > kArenaBytes) fail("the shared memory of the emulation is full", {"", 0});
#if REC_ASAN
  ASAN_UNPOISON_MEMORY_REGION(memory, size);
#endif
  fill(memory, size, 0xFF);
  return memory;
}

char* new_arena() {
  void* memory = nullptr;
  if (posix_memalign(&memory, kPage, kArenaBytes) != 0) throw Error("no memory for shared memory");
  return static_cast<char*>(memory);
}

// What a block runs on. Without ThreadSanitizer one serves all blocks. Under it blocks take turns at
// several, each with threads of its own, so that blocks that run soon after one another are not
// ordered, and their races show. A block is ordered after the last one on the same place; that is
// what lets threads, which take a millisecond to make, be used again.
struct BlockPlace {
  char* arena;
  char* sync_objects;  // what ThreadSanitizer orders threads by
};
std::vector<BlockPlace>& places = *new std::vector<BlockPlace>;

size_t places_for([[maybe_unused]] size_t threads) {
#if REC_TSAN
  constexpr size_t kThreads = 1024, kMostPlaces = 16;
  return std::clamp<size_t>(kThreads / threads, 2, kMostPlaces);
#else
  return 1;
#endif
}

void need_places(size_t count, size_t threads) {
  while (places.size() < count)
    places.push_back({new_arena(), static_cast<char*>(std::calloc(kSyncObjects, 8))});
  while (all_fibres.size() < count * threads) add_fibre();
#if REC_TSAN
  main_fibre.tsan_fibre = __tsan_get_current_fiber();
  for (size_t i = 0; i < count * threads; ++i)
    if (all_fibres[i]->tsan_fibre == nullptr) all_fibres[i]->tsan_fibre = __tsan_create_fiber(0);
#endif
}

void take_place(size_t number, size_t threads) {
  arena = places[number].arena;
  sync_objects = places[number].sync_objects;
  fibres = all_fibres.data() + number * threads;
  acquire(kThreadEnds);
}

// After an error: gives up the stack of every thread of the block as it stands.
void abandon_block() {
  for (unsigned object = 0; object < kSyncObjects; ++object) acquire(object);
  for (unsigned i = 0; i < thread_count; ++i) {
#if REC_TSAN
    __tsan_destroy_fiber(fibres[i]->tsan_fibre);
    fibres[i]->tsan_fibre = nullptr;
    // Its stack may be given to another: forgets the accesses.
    mmap(fibres[i]->stack, kStackBytes, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
#endif
    start(fibres[i]);
  }
}

uint64_t first_state(uint64_t seed) {  // never 0
  return (seed * 2 + 1) * 0x9E3779B97F4A7C15ull;
}

Schedule& chosen_schedule() {
  static Schedule chosen = [] {
    const char* const text = std::getenv("REC_EMU_ORDER");
    const Schedule first = text == nullptr ? Schedule{} : schedule_of(text);
    random_state = first_state(first.seed);
    return first;
  }();
  return chosen;
}

}  // namespace

Schedule schedule_of(const char* text) {
  const std::string_view order = text, random = "random:";
  if (order == "forward") return {Order::forward, 0};
  if (order == "reverse") return {Order::reverse, 0};
  char* end = nullptr;
  if (order.substr(0, random.size()) == random && order.size() > random.size()) {
    const uint64_t seed = std::strtoull(text + random.size(), &end, 10);
    if (*end == '\0') return {Order::random, seed};
  }
  throw std::invalid_argument("REC_EMU_ORDER=" + std::string(text) +
                              ": must be forward, reverse or random:SEED");
}

const Schedule& schedule() { return chosen_schedule(); }

void set_schedule(Schedule chosen) {
  chosen_schedule() = chosen;
  random_state = first_state(chosen.seed);
}

uint64_t choose(uint64_t n) {
  switch (schedule().order) {
    case Order::forward: return 0;
    case Order::reverse: return n - 1;
    case Order::random: break;
  }
  return next_random() % n;
}

void fail(const char* what, Place place) {
  if (current == &main_fibre) throw Error(what);
  failing = true;
  error = what;
  if (place.line > 0) error += " at " + std::string(place.file) + ":" + std::to_string(place.line);
  error += " [thread " + std::to_string(current->number) + " of " + name_of_block() + "]";
  describe_waiting();
  ready_count = 0;
  release(kThreadEnds);
  switch_to(&main_fibre);
  std::abort();  // never switched back to
}

unsigned lane() { return current->number % 32; }
int thread_of_block() { return current == &main_fibre ? -1 : int(current->number); }

Position position() {
  const int thread = thread_of_block();
  return {running_kernel, block_count, thread, thread < 0 ? 0 : warps[thread / 32].meetings};
}

bool is_shared_memory(const void* p) {
  return arena != nullptr && p >= arena && p < arena + arena_used;
}

void yield() {
  make_ready(current);
  leave();
}
void preempt() {
  if (schedule().order == Order::random && next_random() % 8 == 0) yield();
}

void* dynamic_shared() {
  if (dynamic_memory == nullptr)
    fail("dynamic shared memory is used, but the launch gave none", {"", 0});
  return dynamic_memory;
}

void* shared_array(SharedSlot& slot) {
  if (slot.block != block_count) {
    static_used += slot.size;
    if (static_used > kMostStaticShared) fail("more than 48 KiB of static shared memory", {"", 0});
    slot.memory = take_from_arena(slot.size, slot.align);
    slot.block = block_count;
  }
  return slot.memory;
}

int block_barrier(Vote vote, int value, const char* what, Place place) {
  Fibre* const me = current;
  if (barrier.arrived > 0 && (barrier.place.file != place.file ||
                              barrier.place.line != place.line || barrier.vote != vote))
    fail("divergent barrier: threads of one block reach different barriers; this one", place);
  if (alive != thread_count)
    fail("barrier reached after some threads of the block returned", place);
  barrier.place = place;
  barrier.vote = vote;
  me->waits_in = what;
  me->waits_at = place;
  barrier.sum += value;
  // Two objects in turn: with one, a late leaver would also acquire the next barrier's arrivals.
  const unsigned object = kBlockBarrier + barrier.generation % 2;
  release(object);
  ++barrier.arrived;
  me->state = State::at_barrier;
  if (barrier.arrived == alive) open_barrier();
  leave();
  acquire(object);
  return barrier.result;
}

bool warp_arrive(unsigned& mask, const void* in, void* out, const char* what, Place place,
                 const void** ins, void** outs) {
  Fibre* const me = current;
  Warp& warp = warps[me->number / 32];
  const unsigned l = me->number % 32;
  unsigned generation = warp.next_generation;
  if (!(mask >> l & 1)) fail("calling lane is not in its own mask", place);
  mask &= warp.valid;
  if (mask & warp.exited) fail("mask names a lane that already returned", place);
  // Joins the lanes that wait with the same mask. Others are legal: they may come here later.
  unsigned others = warp.arrived & mask;
  while (others && warp.mask[std::countr_zero(others)] != mask) others &= others - 1;
  if (others) {
    const unsigned other = unsigned(std::countr_zero(others));
    const Fibre* waiting = fibres[me->number - l + other];
    generation = warp.generation[other];
    if (waiting->waits_in != what || waiting->waits_at.line != place.line ||
        waiting->waits_at.file != place.file)
      fail("divergent warp collective: lanes of one mask call different ones; this one", place);
  } else {
    ++warp.next_generation;
  }
  const unsigned object = warp_object(me->number / 32, generation);
  me->waits_in = what;
  me->waits_at = place;
  warp.arrived |= 1u << l;
  warp.generation[l] = generation;
  warp.mask[l] = mask;
  warp.in[l] = in;
  warp.out[l] = out;
  release(object);
  bool complete = (warp.arrived & mask) == mask;
  for (unsigned m = mask; complete && m; m &= m - 1)
    complete = warp.mask[std::countr_zero(m)] == mask;
  if (!complete) {
    me->state = State::at_warp;
    leave();
    acquire(object);
    return false;
  }
  acquire(object);
  for (unsigned i = 0; i < 32; ++i) {
    ins[i] = warp.in[i];
    outs[i] = warp.out[i];
    hide(ins[i]);
  }
  return true;
}

void warp_done(unsigned mask) {
  Fibre* const me = current;
  Warp& warp = warps[me->number / 32];
  warp.arrived &= ~mask;
  if (mask == (warp.valid & ~warp.exited)) ++warp.meetings;
  release(warp_object(me->number / 32, warp.generation[me->number % 32]));
  const unsigned first = me->number - me->number % 32;
  for (unsigned m = mask; m; m &= m - 1) {
    const unsigned number = first + unsigned(std::countr_zero(m));
    if (number != me->number) make_ready(fibres[number]);
  }
  // Whoever came last need not go first.
  if (schedule().order == Order::random) yield();
}

void copy_async(void* to, const void* from, int bytes) {
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % unsigned(bytes) != 0)
    fail("misaligned cp.async", {"", 0});
  if (current->copy_count == Fibre::kMostCopies) fail("too many cp.async in flight", {"", 0});
  current->copies[current->copy_count++] = {to, from, bytes, current->copy_group};
}
void copy_async_commit() { ++current->copy_group; }
void copy_async_wait(int groups_left) {
  int kept = 0;
  for (int i = 0; i < current->copy_count; ++i) {
    const PendingCopy copy = current->copies[i];
    if (copy.group < current->copy_group - groups_left)
      std::memcpy(copy.to, copy.from, size_t(copy.bytes));  // a call, seen by the sanitizers
    else
      current->copies[kept++] = copy;
  }
  current->copy_count = kept;
}

void run_grid(dim3 grid, dim3 block, size_t dynamic_shared_bytes,
              const std::function<void()>& thread_body, const void* kernel) {
  const size_t threads = size_t(block.x) * block.y * block.z;
  if (threads == 0 || threads > kMostThreads || block.z > 64)
    throw Error("a block must have 1 to 1024 threads, at most 64 deep");
  if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 || grid.x > 0x7FFFFFFFu)
    throw Error("a grid must have blocks, at most 2^31 - 1, 65535 and 65535 of them");
  if (dynamic_shared_bytes > kMostShared) throw Error("more than 227 KiB of shared memory");
  if (current != &main_fibre) throw Error("a kernel launched a kernel");

  const size_t place_count = places_for(threads);
  need_places(place_count, threads);
  body = &thread_body;
  running_kernel = kernel;
  thread_count = unsigned(threads);
  blockDim = block;
  gridDim = grid;
  const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
  std::vector<uint64_t> order;
  constexpr uint64_t kMostShuffled = 1u << 20;
  if (schedule().order == Order::random && blocks < kMostShuffled) {
    order.resize(blocks);
    std::iota(order.begin(), order.end(), 0);
    for (uint64_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[next_random() % i]);
  }
  for (uint64_t k = 0; k < blocks; ++k) {
    const uint64_t b = !order.empty()                       ? order[k]
                       : schedule().order == Order::reverse ? blocks - 1 - k
                                                            : k;
    blockIdx = make_uint3(unsigned(b % grid.x), unsigned(b / grid.x % grid.y),
                          unsigned(b / grid.x / grid.y));
    take_place(k % place_count, threads);
#if REC_ASAN
    ASAN_POISON_MEMORY_REGION(arena, kArenaBytes);
#endif
    arena_used = static_used = 0;
    ++block_count;
    dynamic_memory = dynamic_shared_bytes > 0
                         ? static_cast<char*>(take_from_arena(dynamic_shared_bytes, 128))
                         : nullptr;
    alive = thread_count;
    barrier = {};
    ready_count = 0;
    failing = false;
    for (unsigned i = 0; i < thread_count; ++i) {
      Fibre* const fibre = fibres[i];
      fibre->number = i;
      fibre->index = make_uint3(i % block.x, i / block.x % block.y, i / block.x / block.y);
      fibre->copy_count = fibre->copy_group = 0;
      make_ready(fibre);
    }
    for (unsigned w = 0; w * 32 < thread_count; ++w) {
      fill(&warps[w], sizeof(Warp), 0);
      const unsigned lanes = std::min(32u, thread_count - w * 32);
      warps[w].valid = lanes == 32 ? ~0u : (1u << lanes) - 1;
    }
    release(kGridStarts);
    switch_to(take_ready());
    if (failing) {
      abandon_block();
      break;
    }
  }
  // Whatever comes next is ordered after every block.
  for (size_t k = 0; k < std::min<uint64_t>(place_count, blocks); ++k) take_place(k, threads);
#if REC_ASAN
  ASAN_UNPOISON_MEMORY_REGION(arena, kArenaBytes);
#endif
  if (failing) throw Error(error);
}

}  // namespace rec::emulator
