/* Add the synapses onto one neuron to its conductance and pull; return where the numbers go on. */
static const float *synapses(const float *weight, const source **from, const float *v, float *conductance, float *pull)
{
    for (int left = SOURCE(*from); left > 0; left--) {
        ++*from;
        const float opening = sigmoid(NUMBER(weight) * (v[SOURCE(*from)] - NUMBER(weight + 1))) * NUMBER(weight + 2);
        *conductance += opening;
        *pull += opening * NUMBER(weight + 3);
        weight += 4;
    }
    ++*from;
    return weight;
}

static void ltc(const float *weight, const source *from, const float *input, int n_inputs, float *own, int n, float dt, int unfolds)
{
    float x[@INPUTS@], next[@MOST@], conductance[@MOST@], pull[@MOST@];
    for (int i = 0; i < n_inputs; i++) {
        x[i] = input[i] * NUMBER(weight) + NUMBER(weight + 1);
        weight += 2;
    }
    for (int i = 0; i < n; i++) { /* what the inputs do is the same in every sub-step */
        conductance[i] = NUMBER(weight);
        pull[i] = NUMBER(weight + 1);
        weight = synapses(weight + 2, &from, x, conductance + i, pull + i);
    }
    const float part = dt / (float)unfolds;
    for (; unfolds > 0; unfolds--) {
        const float *number = weight;
        const source *place = from;
        for (int i = 0; i < n; i++) {
            float opened = conductance[i], drawn = pull[i];
            const float capacity = NUMBER(number);
            number = synapses(number + 1, &place, own, &opened, &drawn);
            next[i] = (capacity * own[i] + part * drawn) / (capacity + part * opened);
        }
        for (int i = 0; i < n; i++) {
            own[i] = next[i];
        }
    }
}
