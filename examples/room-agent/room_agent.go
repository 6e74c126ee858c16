// Serves a room of a leat relay from a program without any leat code: a WebSocket, yamux on it, and a copy
// of bytes both ways for each visitor (docs/protocol.md §5.7).
//
//	go mod init room_agent && go mod tidy
//	LEAT_TOKEN=… go run room_agent.go wss://relay.example.com notes 127.0.0.1:1234
package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

// The binary messages of a WebSocket as a stream of bytes.
type carrier struct {
	io.Reader
	*websocket.Conn
}

func (c carrier) Write(p []byte) (int, error) {
	return len(p), c.WriteMessage(websocket.BinaryMessage, p)
}

func visit(stream net.Conn, service string) {
	defer stream.Close()
	if local, err := net.Dial("tcp", service); err == nil {
		go func() { defer local.Close(); io.Copy(local, stream) }()
		io.Copy(stream, local)
	}
}

func serve(relay, room, service string) error {
	header := http.Header{"Authorization": {"Bearer " + os.Getenv("LEAT_TOKEN")}}
	conn, _, err := websocket.DefaultDialer.Dial(relay+"/agent?room="+room, header)
	if err != nil {
		return err
	}
	defer conn.Close()
	session, err := yamux.Client(carrier{websocket.JoinMessages(conn, ""), conn}, nil)
	if err != nil {
		return err
	}
	log.Print("serving ", room)
	for {
		stream, err := session.Accept()
		if err != nil {
			return err
		}
		go visit(stream, service)
	}
}

func main() {
	for {
		log.Print(serve(os.Args[1], os.Args[2], os.Args[3]))
		time.Sleep(time.Second)
	}
}
