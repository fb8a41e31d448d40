package event

import (
	"net/netip"

	"github.com/vitrine-ndr/vitrine/flow"
)

// FTP is a command of a control connection and the server's replies to it. What the server says unasked, its greeting first of all, is
// one without a command.
type FTP struct {
	Tx         uint64     `json:"tx" doc:"Number of the transaction in its connection, from 0"`
	Command    string     `json:"command,omitempty" doc:"Command, upper case; empty for the greeting and for whatever else nobody asked for" example:"RETR"`
	Argument   string     `json:"argument,omitempty" store:"unique,sought" doc:"What follows the command; left out where it is a password"`
	Path       string     `json:"path,omitempty" store:"unique,sought" doc:"Full path of what the command is about, as far as the working directory is known"`
	User       string     `json:"user,omitempty" store:"sought" doc:"Name under which the client has logged in, or tries to"`
	Login      string     `json:"login,omitempty" enum:"accepted,refused" doc:"What became of the login, where this reply settles it"`
	Code       uint16     `json:"code,omitempty" doc:"Code of the last reply; 0 if there was none" example:"226"`
	Reply      []string   `json:"reply,omitempty" doc:"Lines of all replies, with their codes"`
	Mode       string     `json:"mode,omitempty" enum:"passive,active" doc:"Who opens the data connection that was agreed on: the client if passive, the server if active"`
	Address    netip.Addr `json:"address,omitzero" doc:"Where the data connection is opened to, as announced; empty for the host at the end of this connection"`
	Port       uint16     `json:"port,omitempty" doc:"Port that the data connection is opened to"`
	Size       int64      `json:"size,omitempty" doc:"Size of the file, as the server tells it"`
	DurationUS int64      `json:"duration_us,omitempty" doc:"From the command to its last reply, microseconds"`
}

// FTPData is a file or list that FTP transferred in a connection of its own.
type FTPData struct {
	Command    string  `json:"command,omitempty" doc:"Command that the transfer is of; empty if it was not seen" example:"RETR"`
	Name       string  `json:"name,omitempty" store:"unique,sought" doc:"Name that the command gave"`
	Path       string  `json:"path,omitempty" store:"unique,sought" doc:"Full path, as far as the working directory is known"`
	User       string  `json:"user,omitempty" store:"sought" doc:"Name under which the client has logged in"`
	Mode       string  `json:"mode,omitempty" enum:"passive,active" doc:"Who opened this connection: the client if passive, the server if active"`
	Direction  string  `json:"direction,omitempty" enum:"to_server,to_client" doc:"Which way it went in this connection"`
	Offset     int64   `json:"offset,omitempty" doc:"Where in the file the transfer began"`
	ASCII      bool    `json:"ascii,omitempty" doc:"Sent as text: the content has the line ends of the network, not those of the file"`
	ControlID  flow.ID `json:"control_id,omitzero" doc:"Id of the control connection"`
	ControlTx  uint64  `json:"control_tx,omitempty" doc:"Number of the command's transaction there"`
	DurationUS int64   `json:"duration_us,omitempty" doc:"From the first byte to the last, microseconds"`
	Content
}

func (*FTP) Kind() Kind     { return KindFTP }
func (*FTPData) Kind() Kind { return KindFTPData }
