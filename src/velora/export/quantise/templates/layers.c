/* == cfc: needs mix, tanh_of, sigmoid, limited, down == */
        next[i] = mix(tanh_of(down(sum[0], @AFTER@)), tanh_of(down(sum[1], @AFTER@)), sigmoid(down(limited(down(sum[2], @AFTER@)) * (int32_t)dt, @DTSHIFT@) + down(sum[3], @AFTER@)));
/* == cfc_merged: needs mix, tanh_of, sigmoid == */
        next[i] = mix(tanh_of(down(sum[0], @AFTER@)), tanh_of(down(sum[1], @AFTER@)), sigmoid(down(sum[2], @AFTER@)));
/* == cfc_no_gate: needs product, tanh_of, sigmoid, limited, down == */
        const uint16_t gate = sigmoid(down(limited(down(sum[2], @AFTER@)) * (int32_t)dt, @DTSHIFT@) + down(sum[3], @AFTER@));
        next[i] = (int16_t)down((int32_t)tanh_of(down(sum[0], @AFTER@)) + product(tanh_of(down(sum[1], @AFTER@)), gate), 1);
/* == cfc_no_gate_merged: needs product, tanh_of, sigmoid, down == */
        next[i] = (int16_t)down((int32_t)tanh_of(down(sum[0], @AFTER@)) + product(tanh_of(down(sum[1], @AFTER@)), sigmoid(down(sum[2], @AFTER@))), 1);
/* == cfc_pure: needs product, decay, stretch, limited, down == */
        const int16_t a = limited(down(sum[0], @AFTER@));
        const uint32_t rate = (uint32_t)LONG(own_number) + (((uint32_t)(a < 0 ? -a : a) * 47274) >> 12);
        const uint16_t kept = decay(stretch(rate > 524287 ? 524287 : rate, dt));
        next[i] = limited(down(limited(4096 - product(a, kept)) * LONG(own_number + 1), LONG(own_number + 2)));
        own_number += 3;
/* == gru: needs mix, candidate, sigmoid == */
        next[i] = mix(candidate(down(sum[1], @AFTER@), down(sum[0], @AFTER@), down(sum[3], @AFTER@)), own[i], sigmoid(down(sum[2], @AFTER@)));
/* == leaky: needs mix, candidate, decay, stretch, softplus == */
        next[i] = mix(candidate(down(sum[1], @AFTER@), down(sum[0], @AFTER@), down(sum[3], @AFTER@)), own[i], decay(stretch(softplus(down(sum[2], @AFTER@)), dt)));
/* == leaky_no_reset: needs mix, tanh_of, decay, stretch, softplus == */
        next[i] = mix(tanh_of(down(sum[1], @AFTER@)), own[i], decay(stretch(softplus(down(sum[0], @AFTER@)), dt)));
/* == dense: needs tanh_of == */
        next[i] = tanh_of(down(sum[0], @AFTER@));
/* == relu: needs limited == */
        next[i] = sum[0] < 0 ? 0 : limited(down(sum[0], @AFTER@));
/* == lstm: needs remember, product, tanh_of, sigmoid, down == */
        memory[i] = remember(memory[i], down(sum[0], @AFTER@), down(sum[1], @AFTER@), down(sum[2], @AFTER@));
        next[i] = product(tanh_of(down(memory[i], 7)), sigmoid(down(sum[3], @AFTER@)));
