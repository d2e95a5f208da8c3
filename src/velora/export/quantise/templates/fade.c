    for (int i = 0; i < n; i++) { /* the old state fades before the heads read it */
        const int32_t rate = LONG(own_number), stretched = (int32_t)stretch((uint32_t)(rate < 0 ? -rate : rate), dt);
        const int32_t faded = (rate < 0 ? -stretched : stretched) + LONG(own_number + 1);
        own[i] = product(own[i], decay(faded < 0 ? 0 : (uint32_t)faded));
        own_number += 2;
    }
