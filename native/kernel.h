// The inner loops, compiled once for each instruction set. Before each inclusion, define
//   OTOC_ISA         the namespace
//   OTOC_BYTES       bytes of a vector register
//   OTOC_REGISTERS   how many of them there are
// No include guard: it is included several times on purpose.

namespace OTOC_ISA {

typedef float Vec __attribute__((vector_size(OTOC_BYTES)));
typedef float LooseVec __attribute__((vector_size(OTOC_BYTES), aligned(4), may_alias));

constexpr int kLanes = OTOC_BYTES / 4;
// Accumulators of a tile, with room left for the weights and a broadcast.
constexpr int kRows = OTOC_REGISTERS == 32 ? 8 : 6;
constexpr int kMaxVectors = OTOC_REGISTERS == 32 ? 3 : 2;

inline Vec load(const float* from) { return *reinterpret_cast<const LooseVec*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<LooseVec*>(to) = value; }

// y[r] += x[r] @ weight for kTileRows rows and kVectors vectors of columns; a row of weights begins
// `stride` after the one before.
template <int kTileRows, int kVectors>
inline void multiply_tile(const float* const* x, float* const* y, const float* weight, long c_in,
                          long stride) {
  Vec sum[kTileRows][kVectors];
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = load(y[r] + v * kLanes);
  for (long c = 0; c < c_in; ++c, weight += stride) {
    Vec w[kVectors];
    for (int v = 0; v < kVectors; ++v) w[v] = load(weight + v * kLanes);
    for (int r = 0; r < kTileRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x[r][c] * w[v];
  }
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v) store(y[r] + v * kLanes, sum[r][v]);
}

// The pairs [begin, end) of one offset, for some columns. A last tile that is not full repeats its
// last input row and adds the surplus into `spare`: cheaper than short tiles.
template <int kVectors>
void multiply_columns(const Convolution& job, const float* weight, long begin, long end,
                      long column) {
  float spare[kVectors * kLanes] = {};
  const float* x[kRows];
  float* y[kRows];
  for (long p = begin; p < end; p += kRows) {
    const int count = end - p < kRows ? static_cast<int>(end - p) : kRows;
    for (int r = 0; r < count; ++r) {
      x[r] = job.features + job.inputs[p + r] * job.c_in;
      y[r] = job.result + job.outputs[p + r] * job.c_out + column;
    }
    for (int r = count; r < kRows; ++r) {
      x[r] = x[count - 1];
      y[r] = spare;
    }
    if (count <= kRows / 2)
      multiply_tile<kRows / 2, kVectors>(x, y, weight + column, job.c_in, job.c_out);
    else
      multiply_tile<kRows, kVectors>(x, y, weight + column, job.c_in, job.c_out);
  }
}

// The last columns of all weights, where those do not fill a vector: [offsets, c_in, kLanes], with
// zeros behind them.
std::vector<float> last_columns(const Convolution& job) {
  const long whole = job.c_out / kLanes * kLanes;
  if (whole == job.c_out) return {};
  std::vector<float> padded(job.offsets * job.c_in * kLanes);
  for (long row = 0; row < job.offsets * job.c_in; ++row)
    std::memcpy(&padded[row * kLanes], job.weight + row * job.c_out + whole,
                sizeof(float) * (job.c_out - whole));
  return padded;
}

// The pairs of one offset, for the columns that do not fill a vector.
inline void multiply_last(const Convolution& job, const float* weight, long begin, long end) {
  const long whole = job.c_out / kLanes * kLanes;
  float sum[kRows][kLanes];
  const float* x[kRows];
  float* y[kRows];
  for (int r = 0; r < kRows; ++r) y[r] = sum[r];
  for (long p = begin; p < end; p += kRows) {
    const int count = end - p < kRows ? static_cast<int>(end - p) : kRows;
    for (int r = 0; r < kRows; ++r)
      x[r] = job.features + job.inputs[p + (r < count ? r : count - 1)] * job.c_in;
    std::memset(sum, 0, sizeof(sum));
    multiply_tile<kRows, 1>(x, y, weight, job.c_in, kLanes);
    for (int r = 0; r < count; ++r) {
      float* result = job.result + job.outputs[p + r] * job.c_out;
      for (long n = whole; n < job.c_out; ++n) result[n] += sum[r][n - whole];
    }
  }
}

inline void begin_rows(const Convolution& job, long first, long last) {
  const long n = job.c_out;
  for (long row = first; row < last; ++row) {
    float* y = job.result + row * n;
    if (job.addend)
      std::memcpy(y, job.addend + row * n, sizeof(float) * n);
    else
      std::memset(y, 0, sizeof(float) * n);
    if (job.bias)
      for (long c = 0; c < n; ++c) y[c] += job.bias[c];
  }
}

// One block of output rows.
inline void convolve_block(const Convolution& job, const std::vector<float>& padded, long block) {
  const long first = block * job.block_rows;
  const long last = first + job.block_rows < job.n_out ? first + job.block_rows : job.n_out;
  begin_rows(job, first, last);
  const long vectors = job.c_out / kLanes;
  const long tiles = (vectors + kMaxVectors - 1) / kMaxVectors;
  for (long k = 0; k < job.offsets; ++k) {
    const long begin = job.block_start[block * job.offsets + k];
    const long end = job.block_start[(block + 1) * job.offsets + k];
    if (begin == end) continue;
    const float* weight = job.weight + k * job.c_in * job.c_out;
    for (long tile = 0; tile < tiles; ++tile) {
      const long from = vectors * tile / tiles, to = vectors * (tile + 1) / tiles;
      switch (to - from) {
        case 1: multiply_columns<1>(job, weight, begin, end, from * kLanes); break;
        case 2: multiply_columns<2>(job, weight, begin, end, from * kLanes); break;
        case 3: multiply_columns<3>(job, weight, begin, end, from * kLanes); break;
      }
    }
    if (!padded.empty()) multiply_last(job, &padded[k * job.c_in * kLanes], begin, end);
  }
  if (job.relu)
    for (long i = first * job.c_out; i < last * job.c_out; ++i)
      job.result[i] = job.result[i] > 0 ? job.result[i] : 0;
}

inline void convolve(const Convolution& job, long blocks, int threads) {
  const std::vector<float> padded = last_columns(job);
  Pool::run(blocks, threads, [&](long block) { convolve_block(job, padded, block); });
}

// gradient[c][n] += sum over pairs of x[c] * g[n], for kTileRows channels c and `columns` columns
// n, of which those that fill no vector are followed by others that go nowhere.
template <int kTileRows, int kVectors>
inline void outer_tile(const WeightGradient& job, float* gradient, long begin, long end,
                       long channel, long column, long columns) {
  const float* const x0 = job.features + channel;
  const float* const g0 = job.gradient + column;
  float* const to = gradient + channel * job.c_out + column;
  const bool whole = columns == kVectors * kLanes;
  // A vector of the last rows would reach beyond their array.
  const long last = job.n_out * job.c_out - kVectors * kLanes - column;
  for (; !whole && begin < end && job.outputs[end - 1] * job.c_out > last; --end)
    for (int r = 0; r < kTileRows; ++r)
      for (long n = 0; n < columns; ++n)
        to[r * job.c_out + n] += x0[job.inputs[end - 1] * job.c_in + r] *
                                 g0[job.outputs[end - 1] * job.c_out + n];
  Vec sum[kTileRows][kVectors];
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = Vec{};
  for (long p = begin; p < end; ++p) {
    const float* x = x0 + job.inputs[p] * job.c_in;
    const float* g = g0 + job.outputs[p] * job.c_out;
    Vec row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = load(g + v * kLanes);
    for (int r = 0; r < kTileRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x[r] * row[v];
  }
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v) {
      float* row = to + r * job.c_out + v * kLanes;
      const long count = std::min<long>(kLanes, columns - v * kLanes);
      if (whole)
        store(row, load(row) + sum[r][v]);
      else
        for (long n = 0; n < count; ++n) row[n] += sum[r][v][n];
    }
}

template <int kVectors>
inline void outer_rows(const WeightGradient& job, float* gradient, long begin, long end,
                       long channel, long rows, long column, long columns) {
  switch (rows) {
#define OTOC_CASE(n) \
  case n: return outer_tile<n, kVectors>(job, gradient, begin, end, channel, column, columns)
    OTOC_CASE(1);
    OTOC_CASE(2);
    OTOC_CASE(3);
    OTOC_CASE(4);
    OTOC_CASE(5);
    OTOC_CASE(6);
    OTOC_CASE(7);
    OTOC_CASE(8);
#undef OTOC_CASE
  }
}

// Adds what the rows of blocks [first_block, last_block) give to some channels of all weights.
inline void add_gradient(const WeightGradient& job, float* result, long first_block,
                         long last_block, long channel, long channels) {
  const long vectors = (job.c_out + kLanes - 1) / kLanes;
  const long wide = (vectors + kMaxVectors - 1) / kMaxVectors;
  const long high = (channels + kRows - 1) / kRows;
  for (long k = 0; k < job.offsets; ++k) {
    const long begin = job.block_start[first_block * job.offsets + k];
    const long end = job.block_start[last_block * job.offsets + k];
    if (begin == end) continue;
    float* gradient = result + k * job.c_in * job.c_out;
    for (long tile = 0; tile < wide * high; ++tile) {
      const long from = vectors * (tile % wide) / wide, to = vectors * (tile % wide + 1) / wide;
      const long column = from * kLanes, columns = std::min(to * kLanes, job.c_out) - column;
      const long first = channels * (tile / wide) / high;
      const long rows = channels * (tile / wide + 1) / high - first;
      switch (to - from) {
        case 1:
          outer_rows<1>(job, gradient, begin, end, channel + first, rows, column, columns);
          break;
        case 2:
          outer_rows<2>(job, gradient, begin, end, channel + first, rows, column, columns);
          break;
        case 3:
          outer_rows<3>(job, gradient, begin, end, channel + first, rows, column, columns);
          break;
      }
    }
  }
}

}  // namespace OTOC_ISA
