/* Add what a neuron reads to sums of its heads; the weights are @LISTED@. */
FAST static void @NAME@(walk *at, const int16_t *x, @COUNTED@int32_t *sum)
{
    const weight *w = at->weights;
    const number *const scale = at->numbers;
@BEGIN@    int32_t @ZEROS@;
    for (@LOOP@) {
        const int16_t value = @VALUE@;
@ADDS@
    }
@SCALES@
    at->weights = w;
    at->numbers = scale + @HEADS@;
@END@}
