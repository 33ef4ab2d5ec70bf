// Sparse convolutions on a CPU: the sum of features[i] @ weight[k] over pairs (i, o) of offset k,
// and its gradient for the weights. The gradient for the features is the same sum over exchanged
// pairs with transposed weights.
//
// A plain C interface: the caller owns every array, all are dense, row-major, float32 or int32.
// Pairs are sorted by offset, and within an offset by output row.

#include <algorithm>
#include <cstring>
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

// [offsets, c_in, c_out] from [offsets, c_out, c_in], in squares that fit the first-level cache.
std::vector<float> turned(const float* weight, long offsets, long c_in, long c_out, int threads) {
  constexpr long kSide = 16;
  std::vector<float> result(offsets * c_in * c_out);
  Pool::run(offsets, threads, [&](long k) {
    const float* from = weight + k * c_in * c_out;
    float* to = &result[k * c_in * c_out];
    for (long n0 = 0; n0 < c_out; n0 += kSide)
      for (long c0 = 0; c0 < c_in; c0 += kSide)
        for (long n = n0; n < std::min(n0 + kSide, c_out); ++n)
          for (long c = c0; c < std::min(c0 + kSide, c_in); ++c)
            to[c * c_out + n] = from[n * c_in + c];
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
  std::vector<float> own;
  if (transposed) {
    own = turned(weight, offsets, c_in, c_out, threads);
    weight = own.data();
  }
  const Convolution job{features, weight,  bias,   addend,  result,      n_out,      c_in,
                        c_out,    offsets, inputs, outputs, block_start, block_rows, relu != 0};
#ifdef OTOC_X86
  if (chosen == 2) return avx512::convolve(job, blocks, threads);
  if (chosen == 1) return avx2::convolve(job, blocks, threads);
#endif
  plain::convolve(job, blocks, threads);
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
#ifdef OTOC_X86
      if (chosen == 2) avx512::add_gradient(job, sum, first, last, channel, channels);
      if (chosen == 1) avx2::add_gradient(job, sum, first, last, channel, channels);
#endif
      if (chosen == 0) plain::add_gradient(job, sum, first, last, channel, channels);
    }
  });
  for (long part = 1; part < parts; ++part)
    for (long i = 0; i < size; ++i) result[i] += sums[(part - 1) * size + i];
}

}  // extern "C"
