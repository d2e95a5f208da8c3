/* Add the next weight times a number to a sum. */
#define ADD_PRODUCT(sum, w, x) \
    do { \
        (sum) += (int32_t)WEIGHT(w) * (x); \
        (w)++; \
    } while (0)
