// A client and a server of Java's TLS (JSSE).
//
//     java Peer client PORT CA COUNT    makes so many requests, one a connection, and closes each
//     java Peer server CERT KEY CA      insists on a certificate of its clients, and closes at once
import java.io.FileInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

class Peer {
    public static void main(String[] args) throws Exception {
        if (args[0].equals("client")) {
            ask(Integer.parseInt(args[1]), context(args[2], null, null), Integer.parseInt(args[3]));
        } else {
            refuse(context(args[3], args[1], args[2]));
        }
    }

    static void ask(int port, SSLContext context, int count) throws IOException {
        for (int i = 0; i < count; i++) {
            Socket plain = new Socket("127.0.0.1", port);
            SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(plain, "localhost", port, true);
            socket.getOutputStream().write("GET / HTTP/1.1\r\n\r\n".getBytes());
            StringBuilder page = new StringBuilder();
            for (int next; page.indexOf("good evening") < 0 && (next = socket.getInputStream().read()) >= 0; ) {
                page.append((char) next);
            }
            socket.close();
            System.out.println(page);
        }
    }

    static void refuse(SSLContext context) throws IOException {
        SSLServerSocket listener = (SSLServerSocket) context.getServerSocketFactory()
            .createServerSocket(0, 50, InetAddress.getByName("127.0.0.1"));
        listener.setNeedClientAuth(true);
        System.out.println("listening " + listener.getLocalPort());
        while (true) {
            try (SSLSocket socket = (SSLSocket) listener.accept()) {
                socket.startHandshake();
            } catch (IOException error) {
                System.out.println(error);
            }
        }
    }

    // Trusts an authority, and shows a certificate with an elliptic key if there is one.
    static SSLContext context(String ca, String chain, String key) throws Exception {
        KeyStore trusted = store();
        trusted.setCertificateEntry("ca", certificate(ca));
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(trusted);
        KeyStore own = store();
        if (chain != null) {
            String pem = Files.readString(Path.of(key)).replaceAll("-----[^-]*-----|\\s", "");
            PKCS8EncodedKeySpec secret = new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem));
            Certificate[] shown = { certificate(chain) };
            own.setKeyEntry("own", KeyFactory.getInstance("EC").generatePrivate(secret), new char[0], shown);
        }
        KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, new char[0]);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static KeyStore store() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        return store;
    }

    static Certificate certificate(String path) throws Exception {
        try (FileInputStream file = new FileInputStream(path)) {
            return CertificateFactory.getInstance("X.509").generateCertificate(file);
        }
    }
}
