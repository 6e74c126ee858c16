// The other side of yamux_go_test.cc: a stock hashicorp/yamux session that plays one named scenario over a
// TCP connection it dials. Exit code 0: everything was as it should be. A line on standard input is the
// test's word to go on.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/ioutil"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

const window = 256 * 1024

var words = bufio.NewReader(os.Stdin)

func goOn() error {
	_, err := words.ReadString('\n')
	return err
}

// Byte number i of what this side (seed 2) or the other (seed 1) sends.
func content(seed byte, i int) byte { return byte(i) ^ byte(i>>8)*31 ^ byte(i>>16)*7 ^ seed }

func send(s io.Writer, seed byte, n, piece int) error {
	buf := make([]byte, piece)
	for at := 0; at < n; {
		m := piece
		if n-at < m {
			m = n - at
		}
		for i := 0; i < m; i++ {
			buf[i] = content(seed, at+i)
		}
		if _, err := s.Write(buf[:m]); err != nil {
			return fmt.Errorf("write at %d: %w", at, err)
		}
		at += m
	}
	return nil
}

func expect(s io.Reader, seed byte, n int) error {
	buf := make([]byte, 32*1024)
	for at := 0; at < n; {
		m := len(buf)
		if n-at < m {
			m = n - at
		}
		got, err := s.Read(buf[:m])
		for i := 0; i < got; i++ {
			if buf[i] != content(seed, at+i) {
				return fmt.Errorf("wrong byte at %d", at+i)
			}
		}
		at += got
		if err != nil && at < n {
			return fmt.Errorf("read at %d: %w", at, err)
		}
	}
	return nil
}

func expectEnd(s io.Reader) error {
	n, err := s.Read(make([]byte, 1))
	if n != 0 || err != io.EOF {
		return fmt.Errorf("expected the end, got %d bytes and %v", n, err)
	}
	return nil
}

func is(err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("expected %q, got %v", want, err)
	}
	return nil
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Accepts streams and sends everything back, until the session ends.
func echo(session *yamux.Session) {
	for {
		s, err := session.Accept()
		if err != nil {
			return
		}
		go func() {
			io.Copy(s, s)
			s.Close()
		}()
	}
}

func both(s io.ReadWriter, n, piece int) error {
	sent := make(chan error, 1)
	go func() { sent <- send(s, 2, n, piece) }()
	return first(expect(s, 1, n), <-sent)
}

var scenarios = map[string]func(*yamux.Session, net.Conn) error{
	// They open and we echo, until told to stop.
	"echo": func(session *yamux.Session, _ net.Conn) error {
		go echo(session)
		return goOn()
	},
	// We open, they echo.
	"open": func(session *yamux.Session, _ net.Conn) error {
		for i := 0; i < 20; i++ {
			s, err := session.Open()
			if err != nil {
				return err
			}
			if err := first(send(s, 1, 1000*i, 700), expect(s, 1, 1000*i), s.Close()); err != nil {
				return err
			}
		}
		return goOn()
	},
	// One byte in a frame.
	"open-tiny": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		return first(send(s, 1, 5000, 1), expect(s, 1, 5000), s.Close(), goOn())
	},
	// Opened, never used, closed.
	"open-unused": func(session *yamux.Session, _ net.Conn) error {
		for i := 0; i < 10; i++ {
			s, err := session.Open()
			if err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
		}
		return goOn()
	},
	// 16 MiB both ways at once, on a stream of theirs.
	"bulk": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Accept()
		if err != nil {
			return err
		}
		return first(both(s, 16<<20, 100*1000), s.Close(), expectEnd(s), goOn())
	},
	// … on a stream of ours, with a window of 1 MiB announced in the SYN.
	"bulk-open": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		return first(both(s, 16<<20, 100*1000), s.Close(), expectEnd(s), goOn())
	},
	// They finish first; we go on sending.
	"half-close-them": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Accept()
		if err != nil {
			return err
		}
		return first(expect(s, 1, 10), expectEnd(s), send(s, 2, 1<<20, 10000), s.Close(), goOn())
	},
	// We finish first; they go on sending.
	"half-close-us": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		return first(send(s, 2, 1<<20, 10000), s.Close(), goOn())
	},
	// They send a window's worth, which nobody reads until we are told.
	"stall-us": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Accept()
		if err != nil {
			return err
		}
		return first(goOn(), expect(s, 1, 2*window), expectEnd(s), s.Close(), goOn())
	},
	// We send exactly a window's worth, and can send no more until they read.
	"stall-them": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		if err := send(s, 2, window, window); err != nil {
			return err
		}
		s.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := s.Write([]byte{1}); err != yamux.ErrTimeout {
			return fmt.Errorf("wrote beyond the window: %v", err)
		}
		s.SetWriteDeadline(time.Time{})
		fmt.Println("stalled")
		return first(send(s, 3, window, window), s.Close(), goOn())
	},
	// Their window is 1 MiB: that much leaves us although nobody reads.
	"wide-them": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		// The credit beyond the first 256 KiB comes right after their ACK.
		return first(send(s, 2, 1<<20, 10000), s.Close(), goOn())
	},
	"reset-by-them": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Accept()
		if err != nil {
			return err
		}
		if err := first(expect(s, 1, 10), send(s, 2, 1, 1)); err != nil {
			return err
		}
		_, err = s.Read(make([]byte, 1))
		return first(is(err, yamux.ErrConnectionReset), goOn())
	},
	// With a backlog of one, what they open beyond it is reset.
	"reset-by-us": func(session *yamux.Session, _ net.Conn) error {
		if err := goOn(); err != nil {
			return err
		}
		go echo(session)
		return goOn()
	},
	// They allow 256 streams: the next one is reset, the others live.
	"too-many": func(session *yamux.Session, _ net.Conn) error {
		var streams []net.Conn
		for i := 0; i < 256; i++ {
			s, err := session.Open()
			if err != nil {
				return err
			}
			if err := first(send(s, 1, 10, 10), expect(s, 1, 10)); err != nil {
				return fmt.Errorf("stream %d: %w", i, err)
			}
			streams = append(streams, s)
		}
		s, err := session.Open()
		if err != nil {
			return err
		}
		_, err = s.Read(make([]byte, 1))
		if err := is(err, yamux.ErrConnectionReset); err != nil {
			return err
		}
		for _, s := range streams {
			if err := first(send(s, 1, 10, 10), s.Close()); err != nil {
				return err
			}
		}
		return goOn()
	},
	// 257 streams open at once.
	"many": func(session *yamux.Session, _ net.Conn) error {
		var wait sync.WaitGroup
		errs := make(chan error, 257)
		for i := 0; i < 257; i++ {
			wait.Add(1)
			go func() {
				defer wait.Done()
				s, err := session.Open()
				if err != nil {
					errs <- err
					return
				}
				errs <- first(send(s, 1, 5000, 999), expect(s, 1, 5000), s.Close())
			}()
		}
		wait.Wait()
		for i := 0; i < 257; i++ {
			if err := <-errs; err != nil {
				return err
			}
		}
		return goOn()
	},
	"ping": func(session *yamux.Session, _ net.Conn) error {
		for i := 0; i < 20; i++ {
			if _, err := session.Ping(); err != nil {
				return err
			}
		}
		return goOn()
	},
	// Pings answered in time while both directions are full of data.
	"ping-beside-bulk": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		moved := make(chan error, 1)
		go func() { moved <- both(s, 400*1000, 10*1000) }()
		for i := 0; i < 5; i++ {
			rtt, err := session.Ping()
			if err != nil {
				return err
			}
			if rtt > 5*time.Second {
				return fmt.Errorf("a ping took %v", rtt)
			}
		}
		return first(<-moved, s.Close(), goOn())
	},
	// A stream of theirs and one of ours, each used in one direction only, for longer than the time in
	// which an opening must be acknowledged.
	"one-way": func(session *yamux.Session, _ net.Conn) error {
		theirs, err := session.Accept()
		if err != nil {
			return err
		}
		ours, err := session.Open()
		if err != nil {
			return err
		}
		sent := make(chan error, 1)
		go func() {
			for i := 0; i < 800; i++ {
				if err := send(ours, 2, 5000, 5000); err != nil {
					sent <- err
					return
				}
				time.Sleep(100 * time.Millisecond) // sleep: the pace
			}
			sent <- nil
		}()
		return first(expect(theirs, 1, 800*5000), expectEnd(theirs), <-sent, ours.Close(), theirs.Close(), goOn())
	},
	// After our go-away we take nothing new, and what is open goes on.
	"go-away-us": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Accept()
		if err != nil {
			return err
		}
		if err := session.GoAway(); err != nil {
			return err
		}
		return first(both(s, 1<<20, 5000), s.Close(), goOn())
	},
	// After theirs we can open nothing, and what is open goes on.
	"go-away-them": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		if err := first(send(s, 2, 1, 1), expect(s, 1, 1)); err != nil {
			return err
		}
		_, err = session.Open()
		return first(is(err, yamux.ErrRemoteGoAway), s.Close(), goOn())
	},
	// The connection just ends, with a stream open.
	"end-us": func(session *yamux.Session, conn net.Conn) error {
		s, err := session.Accept()
		if err != nil {
			return err
		}
		return first(expect(s, 1, 10), conn.Close())
	},
	"end-them": func(session *yamux.Session, _ net.Conn) error {
		s, err := session.Open()
		if err != nil {
			return err
		}
		if err := send(s, 2, 10, 10); err != nil {
			return err
		}
		fmt.Println("sent")
		if err := goOn(); err != nil {
			return err
		}
		if _, err = s.Read(make([]byte, 1)); err == nil {
			return errors.New("read from a session that is gone")
		}
		<-session.CloseChan()
		return nil
	},
}

func run() error {
	addr := flag.String("addr", "", "where to dial")
	role := flag.String("role", "", "client or server, as yamux means it")
	name := flag.String("scenario", "", "what to play")
	backlog := flag.Int("backlog", 256, "streams that may wait for Accept")
	wide := flag.Bool("wide", false, "a window of 1 MiB")
	flag.Parse()

	play, known := scenarios[*name]
	if !known {
		return fmt.Errorf("no scenario %q", *name)
	}
	conn, err := net.Dial("tcp", *addr)
	if err != nil {
		return err
	}
	config := yamux.DefaultConfig()
	config.LogOutput = ioutil.Discard
	config.AcceptBacklog = *backlog
	if *wide {
		config.MaxStreamWindowSize = 1 << 20
	}
	open := yamux.Client
	if *role == "server" {
		open = yamux.Server
	}
	session, err := open(conn, config)
	if err != nil {
		return err
	}
	time.AfterFunc(115*time.Second, func() { // sleep: none, but an end for what hangs
		fmt.Fprintln(os.Stderr, *name, "hangs")
		os.Exit(3)
	})
	err = play(session, conn)
	session.Close()
	return err
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
