/* The steps of an LSTM through time, forward and backward, with the bfloat16 products of AVX-512.

training/lstm_steps.py compiles and calls this; what needs no step before it is done in training/lstm.py. A task takes
one way (forward or reverse) of up to 16 sequences through all steps, so tasks never wait for each other. Its rows are
held as pairs of neighbouring columns, [column / 2][16 rows][2], as the product wants them. Sizes are multiples of 16.

Arrays, by time: given and slopes (T, B, W, 4, H) bfloat16, bias (W, 4, H) float, states and arriving (T, B, W, H)
bfloat16, active (T, B, W, 4, H) float, cells (T, B, W, H) float, weights (W, 4H, H) bfloat16. Gates: i f g o. */

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 16

typedef uint16_t bf16;

static inline __m512 widen(const bf16 *from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16));
}

/* Rounds 16 numbers to bfloat16, to a row and to its place among the pairs. */
static inline void narrow(__m512 values, bf16 *row, int32_t *pairs) {
    int32_t packed[8];
    __m256bh low = _mm512_cvtneps_pbh(values);
    memcpy(packed, &low, sizeof packed);
    memcpy(row, packed, sizeof packed);
    for (int pair = 0; pair < 8; pair++) pairs[ROWS * pair] = packed[pair];
}

/* 1 / (1 + exp(-x)), to 2e-7; NaN stays NaN, for which the bounds come first: min and max return the second. */
static inline __m512 sigmoid(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 power = _mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f));
    power = _mm512_max_ps(_mm512_set1_ps(-120.0f), _mm512_min_ps(_mm512_set1_ps(120.0f), power));
    __m512 whole = _mm512_roundscale_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 part = _mm512_sub_ps(power, whole);
    __m512 sum = _mm512_set1_ps(1.3333558e-3f); /* 2^part by its series, from the fifth power down */
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(9.6181291e-3f));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(5.5504109e-2f));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(2.4022651e-1f));
    sum = _mm512_fmadd_ps(sum, part, _mm512_set1_ps(6.9314718e-1f));
    sum = _mm512_fmadd_ps(sum, part, one);
    return _mm512_div_ps(one, _mm512_add_ps(one, _mm512_scalef_ps(sum, whole)));
}

static inline __m512 hyperbolic_tangent(__m512 x) {
    __m512 half = sigmoid(_mm512_add_ps(x, x));
    return _mm512_fmsub_ps(_mm512_set1_ps(2.0f), half, _mm512_set1_ps(1.0f));
}

/* sums (16 rows of 16 columns) += pairs of a row times pairs of a column, over `count` pairs. */
static inline __attribute__((always_inline)) void multiply(
    __m512 sums[ROWS], const int32_t *rows, const int32_t *columns, long count
) {
    for (long pair = 0; pair < count; pair++, rows += ROWS, columns += 16) {
        __m512bh weights = (__m512bh)_mm512_load_si512(columns);
#pragma GCC unroll 16
        for (int row = 0; row < ROWS; row++)
            sums[row] = _mm512_dpbf16_ps(sums[row], weights, (__m512bh)_mm512_set1_epi32(rows[row]));
    }
}

static void *zeros(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    void *made = aligned_alloc(64, bytes);
    if (!made) abort();
    return memset(made, 0, bytes);
}

/* Columns in blocks of 16, pairs of rows side by side: [column / 16][row / 2][16][2] for what `multiply` wants. */
static void pack(const bf16 *weights, long rows, long columns, long row_stride, long column_stride, bf16 *packed) {
#pragma omp parallel for
    for (long block = 0; block < columns / 16; block++)
        for (long row = 0; row < rows; row++)
            for (long column = 0; column < 16; column++)
                packed[(block * (rows / 2) + row / 2) * 32 + 2 * column + row % 2] =
                    weights[row * row_stride + (16 * block + column) * column_stride];
}

static bf16 *pack_ways(const bf16 *weights, long ways, long size, int forward) {
    long all = 4 * size * size;
    bf16 *packed = zeros(ways * all * sizeof(bf16));
    for (long way = 0; way < ways; way++) {
        if (forward) pack(weights + way * all, size, 4 * size, 1, size, packed + way * all);
        else pack(weights + way * all, 4 * size, size, size, 1, packed + way * all);
    }
    return packed;
}

/* given_steps: 1 where what is given is the same at every time, else `steps`. */
void forward(
    long steps, long batch, long ways, long size, long given_steps, const bf16 *given, const float *bias,
    const bf16 *weights, float *active, float *cells, bf16 *states
) {
    int32_t *packed = (int32_t *)pack_ways(weights, ways, size, 1);
    long groups = (batch + ROWS - 1) / ROWS, across = ways * size;
#pragma omp parallel for schedule(static)
    for (long task = 0; task < ways * groups; task++) {
        long way = task / groups, first = task % groups * ROWS;
        long rows = batch - first < ROWS ? batch - first : ROWS;
        const int32_t *mine = packed + way * 2 * size * size;
        int32_t *before = zeros(size / 2 * ROWS * sizeof *before), *after = zeros(size / 2 * ROWS * sizeof *after);
        float *cell = zeros(ROWS * size * sizeof *cell);
        for (long step = 0; step < steps; step++) {
            long time = way ? steps - 1 - step : step;
            for (long unit = 0; unit < size; unit += 16) {
                __m512 gates[4][ROWS];
                for (int gate = 0; gate < 4; gate++) {
                    __m512 sums[ROWS];
                    for (int row = 0; row < ROWS; row++) sums[row] = _mm512_setzero_ps();
                    multiply(sums, before, mine + (gate * size + unit) / 16 * (size / 2) * 16, size / 2);
                    for (int row = 0; row < ROWS; row++) gates[gate][row] = sums[row];
                }
                for (long row = 0; row < rows; row++) {
                    long at = (time * batch + first + row) * across + way * size;
                    long from = (given_steps == 1 ? first + row : time * batch + first + row) * across + way * size;
                    __m512 on[4];
                    for (int gate = 0; gate < 4; gate++) {
                        __m512 sum = widen(given + 4 * from + gate * size + unit);
                        sum = _mm512_add_ps(sum, _mm512_loadu_ps(bias + 4 * way * size + gate * size + unit));
                        sum = _mm512_add_ps(sum, gates[gate][row]);
                        on[gate] = gate == 2 ? hyperbolic_tangent(sum) : sigmoid(sum);
                        _mm512_storeu_ps(active + 4 * at + gate * size + unit, on[gate]);
                    }
                    __m512 now = _mm512_mul_ps(on[1], _mm512_load_ps(cell + row * size + unit));
                    now = _mm512_fmadd_ps(on[0], on[2], now);
                    _mm512_store_ps(cell + row * size + unit, now);
                    _mm512_storeu_ps(cells + at + unit, now);
                    __m512 state = _mm512_mul_ps(on[3], hyperbolic_tangent(now));
                    narrow(state, states + at + unit, after + unit / 2 * ROWS + row);
                }
            }
            int32_t *swap = before;
            before = after;
            after = swap;
        }
        free(before);
        free(after);
        free(cell);
    }
    free(packed);
}

/* slopes: what the loss answers to the sum that goes into each gate. */
void backward(
    long steps, long batch, long ways, long size, const bf16 *arriving, const bf16 *weights, const float *active,
    const float *cells, bf16 *slopes
) {
    const __m512 one = _mm512_set1_ps(1.0f);
    int32_t *packed = (int32_t *)pack_ways(weights, ways, size, 0);
    long groups = (batch + ROWS - 1) / ROWS, across = ways * size;
#pragma omp parallel for schedule(static)
    for (long task = 0; task < ways * groups; task++) {
        long way = task / groups, first = task % groups * ROWS;
        long rows = batch - first < ROWS ? batch - first : ROWS;
        const int32_t *mine = packed + way * 2 * size * size;
        int32_t *pairs = zeros(2 * size * ROWS * sizeof *pairs);
        float *on_cell = zeros(ROWS * size * sizeof *on_cell), *on_state = zeros(ROWS * size * sizeof *on_state);
        for (long step = steps - 1; step >= 0; step--) {
            long time = way ? steps - 1 - step : step, earlier = way ? time + 1 : time - 1;
            for (long row = 0; row < rows; row++) {
                long at = (time * batch + first + row) * across + way * size;
                long at_earlier = (earlier * batch + first + row) * across + way * size;
                for (long unit = 0; unit < size; unit += 16) {
                    __m512 i = _mm512_loadu_ps(active + 4 * at + unit);
                    __m512 f = _mm512_loadu_ps(active + 4 * at + size + unit);
                    __m512 g = _mm512_loadu_ps(active + 4 * at + 2 * size + unit);
                    __m512 o = _mm512_loadu_ps(active + 4 * at + 3 * size + unit);
                    __m512 squashed = hyperbolic_tangent(_mm512_loadu_ps(cells + at + unit));
                    __m512 cell = step ? _mm512_loadu_ps(cells + at_earlier + unit) : _mm512_setzero_ps();
                    __m512 h = _mm512_add_ps(widen(arriving + at + unit), _mm512_load_ps(on_state + row * size + unit));
                    __m512 through = _mm512_mul_ps(_mm512_mul_ps(h, o), _mm512_fnmadd_ps(squashed, squashed, one));
                    __m512 c = _mm512_add_ps(_mm512_load_ps(on_cell + row * size + unit), through);
                    _mm512_store_ps(on_cell + row * size + unit, _mm512_mul_ps(c, f));
                    __m512 on[4] = {
                        _mm512_mul_ps(_mm512_mul_ps(c, g), _mm512_fnmadd_ps(i, i, i)),
                        _mm512_mul_ps(_mm512_mul_ps(c, cell), _mm512_fnmadd_ps(f, f, f)),
                        _mm512_mul_ps(_mm512_mul_ps(c, i), _mm512_fnmadd_ps(g, g, one)),
                        _mm512_mul_ps(_mm512_mul_ps(h, squashed), _mm512_fnmadd_ps(o, o, o)),
                    };
                    for (int gate = 0; gate < 4; gate++) {
                        long place = gate * size + unit;
                        narrow(on[gate], slopes + 4 * at + place, pairs + place / 2 * ROWS + row);
                    }
                }
            }
            for (long unit = 0; step && unit < size; unit += 16) {
                __m512 sums[ROWS];
                for (int row = 0; row < ROWS; row++) sums[row] = _mm512_setzero_ps();
                multiply(sums, pairs, mine + unit / 16 * (2 * size) * 16, 2 * size);
                for (int row = 0; row < ROWS; row++) _mm512_store_ps(on_state + row * size + unit, sums[row]);
            }
        }
        free(pairs);
        free(on_cell);
        free(on_state);
    }
    free(packed);
}
