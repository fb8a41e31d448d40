package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/vitrine-ndr/vitrine/decrypt/keylog"
)

// keyChunk is how much of a key log is read at a time. No line is nearly as long.
const keyChunk = 1 << 20

// readKeyLog adds all secrets of a file.
func readKeyLog(keys *keylog.Store, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open key log: %w", err)
	}
	defer file.Close()
	buf := make([]byte, 0, keyChunk)
	for {
		n, err := file.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			keys.Add(buf)
			return nil
		}
		if err != nil {
			return fmt.Errorf("read key log: %w", err)
		}
		if end := bytes.LastIndexByte(buf, '\n') + 1; end > 0 || len(buf) == cap(buf) {
			if end == 0 {
				end = len(buf) // no key log has such a line
			}
			keys.Add(buf[:end])
			buf = buf[:copy(buf, buf[end:])]
		}
	}
}
