// A client and a server of Go's crypto/tls.
//
//	peer client PORT CA COUNT    makes so many requests, one a connection, and closes each
//	peer server CERT KEY CA      insists on a certificate of its clients, and closes at once
//	peer half CERT KEY CA        says close_notify at once, and reads on to its client's end
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
)

func main() {
	if os.Args[1] == "client" {
		pem, _ := os.ReadFile(os.Args[3])
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(pem)
		n, _ := strconv.Atoi(os.Args[4])
		for i := 0; i < n; i++ {
			c, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[2], &tls.Config{RootCAs: pool, ServerName: "localhost"})
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Fprintf(c, "GET / HTTP/1.1\r\n\r\n")
			r := bufio.NewReader(c)
			for {
				l, err := r.ReadString('\n')
				if err != nil || l == "\r\n" {
					break
				}
			}
			b := make([]byte, 12)
			io.ReadFull(r, b)
			fmt.Println(string(b))
			c.Close()
		}
		return
	}
	cert, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		panic(err)
	}
	pem, _ := os.ReadFile(os.Args[4])
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	fmt.Println("listening", l.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if os.Args[1] == "half" {
			t := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			t.Handshake()
			t.CloseWrite()
			b, err := io.ReadAll(t)
			fmt.Println("heard", string(b), err)
			t.Close()
			continue
		}
		t := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
		t.Handshake()
		t.Close()
	}
}
