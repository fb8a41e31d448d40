package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Access is how the command line on the same machine reaches a running vitrine up. It lies in the data folder, readable by its
// owner only.
type Access struct {
	Server string `json:"server"` // https://address:port
	Token  string `json:"token"`
}

const accessFile = "cli.json"

// Save writes it to a data folder.
func (a *Access) Save(dir string) error {
	text, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode local access: %w", err)
	}
	path := filepath.Join(dir, accessFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace local access: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write local access: %w", err)
	}
	return nil
}

// loadAccess reads what save wrote. ok is false if the folder has none.
func loadAccess(dir string) (a Access, ok bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, accessFile))
	if errors.Is(err, fs.ErrNotExist) {
		return a, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err != nil {
		return a, false, fmt.Errorf("read local access: %w", err)
	}
	return a, true, nil
}
