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

// y[r] += x[r] @ weight for kRows rows and kVectors vectors of columns.
template <int kTileRows, int kVectors>
inline void multiply_tile(const float* const* x, float* const* y, const float* weight, long c_in,
                          long c_out) {
  Vec sum[kTileRows][kVectors];
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v) sum[r][v] = load(y[r] + v * kLanes);
  for (long c = 0; c < c_in; ++c, weight += c_out) {
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

// Columns that do not fill a vector.
inline void multiply_rest(const Convolution& job, const float* weight, long begin, long end,
                          long column) {
  for (long p = begin; p < end; ++p) {
    const float* x = job.features + job.inputs[p] * job.c_in;
    float* y = job.result + job.outputs[p] * job.c_out;
    for (long c = 0; c < job.c_in; ++c)
      for (long n = column; n < job.c_out; ++n) y[n] += x[c] * weight[c * job.c_out + n];
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
void convolve_block(const Convolution& job, long block) {
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
    if (vectors * kLanes < job.c_out) multiply_rest(job, weight, begin, end, vectors * kLanes);
  }
  if (job.relu)
    for (long i = first * job.c_out; i < last * job.c_out; ++i)
      job.result[i] = job.result[i] > 0 ? job.result[i] : 0;
}

// gradient[c][n] += sum over pairs of x[c] * g[n], for kTileRows channels c.
template <int kTileRows, int kVectors>
inline void outer_tile(const WeightGradient& job, float* gradient, long begin, long end,
                       long channel, long column) {
  Vec sum[kTileRows][kVectors] = {};
  for (long p = begin; p < end; ++p) {
    const float* x = job.features + job.inputs[p] * job.c_in + channel;
    const float* g = job.gradient + job.outputs[p] * job.c_out + column;
    Vec row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = load(g + v * kLanes);
    for (int r = 0; r < kTileRows; ++r)
      for (int v = 0; v < kVectors; ++v) sum[r][v] += x[r] * row[v];
  }
  for (int r = 0; r < kTileRows; ++r)
    for (int v = 0; v < kVectors; ++v)
      store(gradient + (channel + r) * job.c_out + column + v * kLanes, sum[r][v]);
}

template <int kVectors>
void outer_columns(const WeightGradient& job, float* gradient, long begin, long end, long channel,
                   long channels, long column) {
  const long stop = channel + channels;
  for (; channel + 8 <= stop; channel += 8)
    outer_tile<8, kVectors>(job, gradient, begin, end, channel, column);
  for (; channel + 2 <= stop; channel += 2)
    outer_tile<2, kVectors>(job, gradient, begin, end, channel, column);
  for (; channel < stop; ++channel)
    outer_tile<1, kVectors>(job, gradient, begin, end, channel, column);
}

// The gradient of some input channels of one offset's weights.
void weight_gradient(const WeightGradient& job, long k, long channel, long channels) {
  const long begin = job.offset_start[k], end = job.offset_start[k + 1];
  float* gradient = job.result + k * job.c_in * job.c_out;
  const long vectors = job.c_out / kLanes;
  const long tiles = (vectors + kMaxVectors - 1) / kMaxVectors;
  for (long tile = 0; tile < tiles; ++tile) {
    const long from = vectors * tile / tiles, to = vectors * (tile + 1) / tiles;
    switch (to - from) {
      case 1: outer_columns<1>(job, gradient, begin, end, channel, channels, from * kLanes); break;
      case 2: outer_columns<2>(job, gradient, begin, end, channel, channels, from * kLanes); break;
      case 3: outer_columns<3>(job, gradient, begin, end, channel, channels, from * kLanes); break;
    }
  }
  for (long c = channel; c < channel + channels; ++c)
    for (long n = vectors * kLanes; n < job.c_out; ++n) {
      float sum = 0;
      for (long p = begin; p < end; ++p)
        sum += job.features[job.inputs[p] * job.c_in + c] *
               job.gradient[job.outputs[p] * job.c_out + n];
      gradient[c * job.c_out + n] = sum;
    }
}

}  // namespace OTOC_ISA
