// Sparse convolutions on a CPU: the sum of features[i] @ weight[k] over pairs (i, o) of offset k,
// and its gradient for the weights. The gradient for the features is the same sum over exchanged
// pairs with transposed weights.
//
// A plain C interface: the caller owns every array, all are dense, row-major, float32 or int32.
// Pairs are sorted by offset, and within an offset by output row.

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "pool.h"

namespace {

struct Convolution {
  const float *features, *weight;  // [n_in, c_in], [offsets, c_in, c_out]
  const float *bias, *addend;      // [c_out], [n_out, c_out]; null for none
  float* result;                   // [n_out, c_out]
  long n_out, c_in, c_out, offsets;
  const int *inputs, *outputs;  // [pairs]
  const int* block_start;       // [blocks + 1, offsets]: first pair at or after each block of rows
  long block_rows;
  bool relu;
};

struct WeightGradient {
  const float *features, *gradient;  // [n_in, c_in], [n_out, c_out]
  float* result;                     // [offsets, c_in, c_out]
  long n_out, c_in, c_out, offsets;
  const int *inputs, *outputs;
  const int* block_start;
};

#define OTOC_ISA plain
#define OTOC_BYTES 16
#if defined(__aarch64__)
#define OTOC_REGISTERS 32
#else
#define OTOC_REGISTERS 16
#endif
#include "kernel.h"
#undef OTOC_ISA
#undef OTOC_BYTES
#undef OTOC_REGISTERS

#if defined(__x86_64__) && defined(__GNUC__)
#define OTOC_X86
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
#define OTOC_ISA avx2
#define OTOC_BYTES 32
#define OTOC_REGISTERS 16
#include "kernel.h"
#undef OTOC_ISA
#undef OTOC_BYTES
#undef OTOC_REGISTERS
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,fma"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,fma")
#endif
#define OTOC_ISA avx512
#define OTOC_BYTES 64
#define OTOC_REGISTERS 32
#include "kernel.h"
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif

// The best version of a function for this machine.
#ifdef OTOC_X86
#define OTOC_BEST(call) (chosen == 2 ? avx512::call : chosen == 1 ? avx2::call : plain::call)
#else
#define OTOC_BEST(call) plain::call
#endif

// Below this many multiplications waking a thread costs more than it saves.
constexpr long kWorthAThread = 500000;
constexpr long kChannelsPerTask = 16;
constexpr long kParts = 8;
constexpr long kBlocksAtOnce = 2;  // so that few sums are begun

int supported() {
#ifdef OTOC_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return 2;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 1;
#endif
  return 0;
}

int chosen = supported();

long count_pairs(const int* block_start, long blocks, long offsets) {
  long pairs = 0;
  for (long k = 0; k < offsets; ++k) pairs += block_start[blocks * offsets + k] - block_start[k];
  return pairs;
}

// [offsets, c_in, c_out] from [offsets, c_out, c_in], for the offsets that have pairs; square by
// square, so that both sides are read and written by whole cache lines.
std::unique_ptr<float[]> transposed_weight(const float* weight, long offsets, long c_in,
                                           long c_out, const int* first, const int* last,
                                           int threads) {
  constexpr long kSide = 16;
  std::unique_ptr<float[]> result(new float[offsets * c_in * c_out]);
  Pool::run(offsets, threads, [&](long k) {
    if (first[k] == last[k]) return;
    const float* from = weight + k * c_in * c_out;
    float* to = &result[k * c_in * c_out];
    for (long n = 0; n < c_out; n += kSide)
      for (long c = 0; c < c_in; c += kSide) {
        const long rows = std::min(kSide, c_out - n), columns = std::min(kSide, c_in - c);
        float square[kSide][kSide];
        for (long i = 0; i < rows; ++i)
          for (long j = 0; j < columns; ++j) square[j][i] = from[(n + i) * c_in + c + j];
        for (long j = 0; j < columns; ++j)
          std::memcpy(to + (c + j) * c_out + n, square[j], sizeof(float) * rows);
      }
  });
  return result;
}

int useful_threads(int threads, long multiplications) {
  const long most = multiplications / kWorthAThread + 1;
  return threads < most ? threads : static_cast<int>(most);
}

}  // namespace

extern "C" {

// Raised whenever a function below changes its arguments.
int otoc_interface() { return 4; }

// The instruction set in use: 0 plain C++, 1 AVX2, 2 AVX-512.
int otoc_instruction_set() { return chosen; }

// Use another one; returns the one in use, which is never more than the machine has.
int otoc_use_instruction_set(int wanted) {
  const int best = supported();
  return chosen = wanted < best ? wanted : best;
}

// result = bias + addend + the sum; then ReLU. With `transposed`, weight is [offsets, c_out, c_in].
void otoc_convolve(const float* features, const float* weight, const float* bias,
                   const float* addend, float* result, long n_out, long c_in, long c_out,
                   long offsets, const int* inputs, const int* outputs, const int* block_start,
                   long block_rows, int relu, int transposed, int threads) {
  const long blocks = (n_out + block_rows - 1) / block_rows;
  threads = useful_threads(threads, count_pairs(block_start, blocks, offsets) * c_in * c_out);
  std::unique_ptr<float[]> own;
  if (transposed) {
    const int* last = block_start + blocks * offsets;
    own = transposed_weight(weight, offsets, c_in, c_out, block_start, last, threads);
    weight = own.get();
  }
  const Convolution job{features, weight,  bias,   addend,  result,      n_out,      c_in,
                        c_out,    offsets, inputs, outputs, block_start, block_rows, relu != 0};
  OTOC_BEST(convolve(job, blocks, threads));
}

void otoc_weight_gradient(const float* features, const float* gradient, float* result, long n_out,
                          long c_in, long c_out, long offsets, const int* inputs,
                          const int* outputs, const int* block_start, long block_rows,
                          int threads) {
  const WeightGradient job{features, gradient, result,  n_out,      c_in, c_out,
                           offsets,  inputs,   outputs, block_start};
  // A few sums over some of the blocks each, then their sum: the order of the additions, and with
  // it every bit, is the same for any number of threads.
  const long blocks = (n_out + block_rows - 1) / block_rows;
  const long parts = blocks < kParts ? blocks : kParts;
  const long size = offsets * c_in * c_out;
  std::vector<float> sums((parts - 1) * size);
  std::memset(result, 0, sizeof(float) * size);
  const long slices = (c_in + kChannelsPerTask - 1) / kChannelsPerTask;
  threads = useful_threads(threads, count_pairs(block_start, blocks, offsets) * c_in * c_out);
  Pool::run(parts * slices, threads, [&](long task) {
    const long part = task / slices, channel = task % slices * kChannelsPerTask;
    const long channels = std::min(c_in - channel, kChannelsPerTask);
    float* sum = part == 0 ? result : &sums[(part - 1) * size];
    const long end = blocks * (part + 1) / parts;
    for (long first = blocks * part / parts; first < end; first += kBlocksAtOnce) {
      const long last = std::min(first + kBlocksAtOnce, end);
      OTOC_BEST(add_gradient(job, sum, first, last, channel, channels));
    }
  });
  for (long part = 1; part < parts; ++part)
    for (long i = 0; i < size; ++i) result[i] += sums[(part - 1) * size + i];
}

}  // extern "C"
