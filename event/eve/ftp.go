package eve

import (
	"strings"

	"github.com/vitrine-ndr/vitrine/event"
)

type ftpObject struct {
	Command       string   `json:"command,omitempty"`
	Data          string   `json:"command_data,omitempty"`
	Reply         []string `json:"reply,omitempty"`
	Codes         []string `json:"completion_code,omitempty"`
	DynamicPort   uint16   `json:"dynamic_port,omitempty"`
	Mode          string   `json:"mode,omitempty"`
	ReplyReceived string   `json:"reply_received"`
}

// ftp takes the replies apart: EVE has their codes and their texts in two lists.
func ftp(f *event.FTP) *ftpObject {
	o := &ftpObject{Command: f.Command, Data: f.Argument, DynamicPort: f.Port, Mode: f.Mode, ReplyReceived: "no"}
	if len(f.Reply) > 0 {
		o.ReplyReceived = "yes"
	}
	code := "" // of a reply of several lines
	for _, line := range f.Reply {
		switch {
		case code == "" && len(line) >= 3:
			o.Codes = append(o.Codes, line[:3])
			if len(line) > 3 && line[3] == '-' {
				code = line[:3]
			}
			line = line[min(len(line), 4):]
		case code != "" && (line == code || strings.HasPrefix(line, code+" ")):
			line, code = line[min(len(line), 4):], ""
		case code != "":
			line = strings.TrimPrefix(line, code+"-")
		}
		o.Reply = append(o.Reply, line)
	}
	return o
}

type ftpDataObject struct {
	FileName string `json:"filename,omitempty"`
	Command  string `json:"command,omitempty"`
}

func ftpData(f *event.FTPData) *ftpDataObject {
	return &ftpDataObject{FileName: f.Name, Command: f.Command}
}
