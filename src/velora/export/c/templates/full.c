        x = @READ@;
        do {
@ADDS@
            weight += @N@;
            x++;
        } while (x != @READ@ + @COUNT@);
