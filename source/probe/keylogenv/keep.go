package keylogenv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// keepInterval is how often the file is looked at.
	keepInterval = time.Second
	// keepSize is the size from which a key file is emptied: who reads it has long had what is in it.
	keepSize = Limit / 2
)

// Keep empties the key file whenever it has half filled its file system, until ctx is done. Whoever reads the keys runs it. The
// file need not be there. Keys that are written in the moment of emptying, and have not been read yet, are lost.
func Keep(ctx context.Context, file string, log *slog.Logger) error {
	ticker := time.NewTicker(keepInterval)
	defer ticker.Stop()
	failed := false
	for {
		emptied, err := emptyAbove(file, keepSize)
		switch {
		case err != nil && !failed:
			log.Warn("cannot empty the key file", "error", err)
		case emptied:
			log.Debug("emptied the key file", "path", file)
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// emptyAbove empties a file that is larger than the size. All who have it open for appending go on at its new end.
func emptyAbove(file string, size int64) (emptied bool, err error) {
	info, err := os.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || err == nil && (!info.Mode().IsRegular() || info.Size() <= size) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at key file: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	locked := isAppendOnly(f)
	if locked {
		if err := setAppendOnly(f, false); err != nil {
			return false, fmt.Errorf("unlock key file: %w", err)
		}
	}
	err = f.Truncate(0)
	if locked {
		err = errors.Join(err, setAppendOnly(f, true))
	}
	if err != nil {
		return false, fmt.Errorf("empty key file: %w", err)
	}
	return true, nil
}
