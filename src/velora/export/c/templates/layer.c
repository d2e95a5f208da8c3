static void @NAME@(@PARAMETERS@)
{
    float next[@MOST@];
@FADE@    for (int i = 0; i < n; i++) {
        float @SUMS@;
        const float *x;
@LAST@        weight += @HEADS@;
@INPUTS@@STATE@@FORMULA@
    }
    for (int i = 0; i < n; i++) {
        own[i] = next[i];
    }
}
