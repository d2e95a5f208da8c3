/* Written by python -m velora.kernels.generate from velora/kernels/layers.py. Don't edit. */
#ifndef VELORA_TABLES_H
#define VELORA_TABLES_H

#define MAX_LAYERS 9
#define MOST_TENSORS 13

enum kind { CFC, CFC_NO_GATE, CFC_PURE, GRU, TANH, RELU, LSTM, LTC, LEAKY, LEAKY_NO_RESET, LSTM_LAYER };
enum { LTC_GLEAK, LTC_VLEAK, LTC_CM, LTC_SIGMA, LTC_MU, LTC_W, LTC_EREV, LTC_SENSORY_SIGMA, LTC_SENSORY_MU, LTC_SENSORY_W, LTC_SENSORY_EREV, LTC_INPUT_W, LTC_INPUT_B };

static const struct {
    int heads, kept, has_state, has_direct_path;
} KIND_OF_LAYER[] = {
    {4, 4, 1, 0}, /* CFC: (1 - g) tanh(a) + g tanh(b), g = sigmoid(c dt + d) */
    {4, 4, 1, 0}, /* CFC_NO_GATE: tanh(a) + g tanh(b), g = sigmoid(c dt + d) */
    {1, 3, 1, 0}, /* CFC_PURE: A - A exp(-dt (|w_tau| + |a|)) a */
    {4, 4, 1, 1}, /* GRU: (1 - z) tanh(c + r d) + z h, r = sigmoid(a), z = sigmoid(b) */
    {1, 1, 0, 0}, /* TANH: tanh(a) */
    {1, 1, 0, 0}, /* RELU: max(a, 0) */
    {4, 6, 1, 0}, /* LSTM: the old state of all layers after it */
    {0, 2, 1, 0}, /* LTC: semi-implicit Euler steps of the circuit's equation */
    {4, 5, 1, 1}, /* LEAKY: (1 - k) tanh(c + r d) + k h, r = sigmoid(a), k = exp(-dt softplus(b)) */
    {2, 3, 1, 1}, /* LEAKY_NO_RESET: (1 - k) tanh(b) + k h, k = exp(-dt softplus(a)) */
    {4, 6, 1, 0}, /* LSTM_LAYER: o tanh(m'), memory m' = f m + i g */
};

/* X(kind, function): the kinds that are a pair of functions, function_forward and function_backward. */
#define PAIRS_OF_FUNCTIONS(X) \
    X(CFC, cfc) \
    X(CFC_NO_GATE, cfc) \
    X(CFC_PURE, pure) \
    X(GRU, gru) \
    X(TANH, dense) \
    X(RELU, dense) \
    X(LEAKY, leaky) \
    X(LEAKY_NO_RESET, leaky)

#endif
