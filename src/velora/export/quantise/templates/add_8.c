/* Add the next weight times a number to a sum. */
#if defined(__AVR__) && defined(__GNUC__) /* a byte by two; the compiler would multiply two by two, in a function */
#define ADD_PRODUCT(sum, w, x)                                                                                    \
    do {                                                                                                          \
        int8_t weight_;                                                                                           \
        uint8_t sign_;                                                                                            \
        __asm__("lpm %[b], Z+\n\t"                                                                                \
                "mulsu %[b], %A[c]\n\tsbc %[s], %[s]\n\t"                                                         \
                "add %A[a], r0\n\tadc %B[a], r1\n\tadc %C[a], %[s]\n\tadc %D[a], %[s]\n\t"                       \
                "muls %[b], %B[c]\n\tsbc %[s], %[s]\n\t"                                                          \
                "add %B[a], r0\n\tadc %C[a], r1\n\tadc %D[a], %[s]\n\tclr r1"                                     \
                : [a] "+r"(sum), [z] "+z"(w), [b] "=&a"(weight_), [s] "=&r"(sign_)                                \
                : [c] "a"(x));                                                                                    \
    } while (0)
#else
#define ADD_PRODUCT(sum, w, x) ((sum) += (int32_t)*(w)++ * (x))
#endif
