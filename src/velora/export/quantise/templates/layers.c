/* == cfc: needs mix, tanh_of, sigmoid, limited, down == */
        next[i] = mix(tanh_of(sum[0]), tanh_of(sum[1]), sigmoid(down(limited(sum[2]) * (int32_t)dt, @DTSHIFT@) + sum[3]));
/* == cfc_merged: needs mix, tanh_of, sigmoid == */
        next[i] = mix(tanh_of(sum[0]), tanh_of(sum[1]), sigmoid(sum[2]));
/* == cfc_no_gate: needs product, tanh_of, sigmoid, limited, down == */
        const uint16_t gate = sigmoid(down(limited(sum[2]) * (int32_t)dt, @DTSHIFT@) + sum[3]);
        next[i] = (int16_t)down((int32_t)tanh_of(sum[0]) + product(tanh_of(sum[1]), gate), 1);
/* == cfc_no_gate_merged: needs product, tanh_of, sigmoid, down == */
        next[i] = (int16_t)down((int32_t)tanh_of(sum[0]) + product(tanh_of(sum[1]), sigmoid(sum[2])), 1);
/* == cfc_pure: needs product, decay, stretch, limited, down == */
        const int16_t a = limited(sum[0]);
        const uint32_t rate = (uint32_t)LONG(own_number) + (((uint32_t)(a < 0 ? -a : a) * 47274) >> 12);
        const uint16_t kept = decay(stretch(rate > 524287 ? 524287 : rate, dt));
        next[i] = limited(down(limited(4096 - product(a, kept)) * LONG(own_number + 1), LONG(own_number + 2)));
        own_number += 3;
/* == gru: needs mix, candidate, sigmoid == */
        next[i] = mix(candidate(sum[1], sum[0], sum[3]), own[i], sigmoid(sum[2]));
/* == leaky: needs mix, candidate, decay, stretch, softplus == */
        next[i] = mix(candidate(sum[1], sum[0], sum[3]), own[i], decay(stretch(softplus(sum[2]), dt)));
/* == leaky_no_reset: needs mix, tanh_of, decay, stretch, softplus == */
        next[i] = mix(tanh_of(sum[1]), own[i], decay(stretch(softplus(sum[0]), dt)));
/* == tanh: needs tanh_of == */
        next[i] = tanh_of(sum[0]);
/* == relu: needs limited == */
        next[i] = sum[0] < 0 ? 0 : limited(sum[0]);
/* == lstm: needs remember, product, tanh_of, sigmoid, down == */
        memory[i] = remember(memory[i], sum[0], sum[1], sum[2]);
        next[i] = product(tanh_of(down(memory[i], 7)), sigmoid(sum[3]));
