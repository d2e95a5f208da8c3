        for (int left = SOURCE(from); left > 0; left--) {
            from++;
            const float x = @READ@[SOURCE(from)];
@ADDS@
            weight += @N@;
        }
        from++;
