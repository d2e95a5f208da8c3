static void @NAME@(@PARAMETERS@)
{
    int16_t next[@MOST@];
@FADE@    for (int i = 0; i < n; i++) {
        int32_t sum[@HEADS@];
@BIASES@
        at->numbers += @HEADS@;
@SIDES@@FORMULA@    }
    for (int i = 0; i < n; i++) {
        own[i] = next[i];
    }
}
