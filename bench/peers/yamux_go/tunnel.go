// A reverse tunnel as most are built: hashicorp/yamux over TLS, a goroutine and io.Copy for each direction.
// What leat is compared with. `tunnel relay` is the public end, `tunnel agent` the one at home.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"io/ioutil"
	"log"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/hashicorp/yamux"
)

func config(window uint) *yamux.Config {
	c := yamux.DefaultConfig()
	c.MaxStreamWindowSize = uint32(window)
	c.LogOutput = ioutil.Discard
	c.ConnectionWriteTimeout = time.Minute // a full queue is what is measured, not a fault
	return c
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		log.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func pipe(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		io.Copy(a, b)
		a.Close()
		b.Close()
		close(done)
	}()
	io.Copy(b, a)
	a.Close()
	b.Close()
	<-done
}

func listen(address string) net.Listener {
	l, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	return l
}

func relay(agents, visitors string, window uint) {
	al, vl := listen(agents), listen(visitors)
	fmt.Println("listening")
	plain, err := al.Accept()
	if err != nil {
		log.Fatal(err)
	}
	carrier := tls.Server(plain, &tls.Config{Certificates: []tls.Certificate{certificate()}})
	session, err := yamux.Client(carrier, config(window))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("online")
	for {
		visitor, err := vl.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			stream, err := session.Open()
			if err != nil {
				visitor.Close()
				return
			}
			pipe(visitor, stream)
		}()
	}
}

func agent(relay, service string, window uint) {
	// Nothing is secret here; the cost of verifying is not on the path of a byte.
	carrier, err := tls.Dial("tcp", relay, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		log.Fatal(err)
	}
	session, err := yamux.Server(carrier, config(window))
	if err != nil {
		log.Fatal(err)
	}
	for {
		stream, err := session.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			conn, err := net.Dial("tcp", service)
			if err != nil {
				stream.Close()
				return
			}
			pipe(conn, stream)
		}()
	}
}

func main() {
	window := flag.Uint("window", 256*1024, "bytes a stream")
	flag.Parse()
	if flag.NArg() != 3 {
		fmt.Fprintln(os.Stderr, "tunnel [-window N] relay AGENTS VISITORS | agent RELAY SERVICE")
		os.Exit(2)
	}
	switch flag.Arg(0) {
	case "relay":
		relay(flag.Arg(1), flag.Arg(2), *window)
	case "agent":
		agent(flag.Arg(1), flag.Arg(2), *window)
	}
}
