        last = from + SOURCE(from);
        while (from != last) {
            from++;
            x = @READ@ + SOURCE(from);
@ADDS@
            weight += @N@;
        }
        from++;
