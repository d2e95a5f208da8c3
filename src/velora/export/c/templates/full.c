        for (int k = 0; k < @COUNT@; k++) {
            const float x = @READ@[k];
@ADDS@
            weight += @N@;
        }
