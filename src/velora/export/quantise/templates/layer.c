static void @NAME@(@PARAMETERS@)
{
    int16_t next[@MOST@];
@FADE@    for (int i = 0; i < n; i++) {
        int32_t sum[@HEADS@];
        for (int k = 0; k < @HEADS@; k++) {
            sum[k] = NUMBER(at->numbers + k) * (INT32_C(1) << @AFTER@);
        }
        at->numbers += @HEADS@;
@SIDES@        for (int k = 0; k < @HEADS@; k++) {
            sum[k] = down(sum[k], @AFTER@);
        }
@FORMULA@    }
    for (int i = 0; i < n; i++) {
        own[i] = next[i];
    }
}
