        last = from + SOURCE(from);
        do {
            from++;
            x = @READ@ + SOURCE(from);
@ADDS@
            weight += @N@;
        } while (from != last);
        from++;
