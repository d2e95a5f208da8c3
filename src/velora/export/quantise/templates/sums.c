/* Add what a neuron reads to sums of its heads, by weights that are @LISTED@. */
static void @NAME@(walk *at, const int16_t *x, @COUNTED@int32_t *sum)
{
    const weight *w = at->weights;
@BEGIN@    int32_t @ZEROS@;
    for (@LOOP@) {
        const int32_t value = @VALUE@;
@ADDS@
        w += @HEADS@;
    }
@SCALES@
    at->weights = w;
    at->numbers += @HEADS@;
@END@}
