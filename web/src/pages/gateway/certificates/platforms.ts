/** A step of an installation: what it is for, as a key of the catalogue, and what to type. */
export interface Step {
  say: string;
  command?: string;
}

export interface Platform {
  id: string;
  /** Names are the same in every language. */
  title: string;
  group: "system" | "browser" | "program" | "container";
  steps: Step[];
}

/** Bundle of the system's roots, the gateway's among them once it is installed, where Debian, Ubuntu and Alpine have it. */
const bundle = "/etc/ssl/certs/ca-certificates.crt";

/** Where copies lie that programs are pointed to; the same folder as vitrine trust has. */
const folder = "/etc/vitrine/trust";

const linux = (file: string, anchors: string, refresh: string): Step[] => [
  { say: "copy", command: `sudo cp ${file} ${anchors}/` },
  { say: "refresh", command: `sudo ${refresh}` },
  { say: "check_openssl", command: `openssl verify ${file}` },
];

const follows = { say: "follows" };

/** How each platform comes to trust a root that lies in a file; the facts are those of docs/trust.md. */
export function platforms(file: string, store: string): Platform[] {
  return [
    {
      ...{ id: "debian", title: "Debian, Ubuntu", group: "system" },
      steps: linux(file, "/usr/local/share/ca-certificates", "update-ca-certificates"),
    },
    {
      ...{ id: "rhel", title: "RHEL, Fedora, Amazon Linux", group: "system" },
      steps: linux(file, "/etc/pki/ca-trust/source/anchors", "update-ca-trust extract"),
    },
    {
      ...{ id: "suse", title: "SUSE", group: "system" },
      steps: linux(file, "/etc/pki/trust/anchors", "update-ca-certificates"),
    },
    {
      ...{ id: "arch", title: "Arch", group: "system" },
      steps: linux(file, "/etc/ca-certificates/trust-source/anchors", "trust extract-compat"),
    },
    {
      ...{ id: "alpine", title: "Alpine", group: "system" },
      steps: [
        { say: "package", command: "apk add ca-certificates" },
        { say: "copy", command: `cp ${file} /usr/local/share/ca-certificates/` },
        { say: "refresh", command: "update-ca-certificates" },
      ],
    },
    {
      ...{ id: "windows", title: "Windows", group: "system" },
      steps: [
        {
          say: "powershell",
          command: `Import-Certificate -FilePath ${file} -CertStoreLocation Cert:\\LocalMachine\\Root`,
        },
        {
          say: "firefox_windows",
          command:
            "New-Item -Path HKLM:\\SOFTWARE\\Policies\\Mozilla\\Firefox\\Certificates -Force\n" +
            "Set-ItemProperty -Path HKLM:\\SOFTWARE\\Policies\\Mozilla\\Firefox\\Certificates -Name ImportEnterpriseRoots -Value 1 -Type DWord",
        },
        { say: "script", command: `vitrine trust print --ca ${file} --format windows > trust.ps1` },
      ],
    },
    {
      ...{ id: "macos", title: "macOS", group: "system" },
      steps: [
        {
          say: "keychain",
          command: `sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ${file}`,
        },
        { say: "check", command: `security verify-cert -c ${file}` },
        { say: "script", command: `vitrine trust print --ca ${file} --format macos > trust.sh` },
      ],
    },
    {
      ...{ id: "firefox", title: "Firefox", group: "browser" },
      steps: [
        { say: "copy", command: `sudo install -D -m 644 ${file} ${folder}/${file}` },
        {
          say: "firefox_policy",
          command: `{\n  "policies": {\n    "Certificates": { "Install": ["${folder}/${file}"] }\n  }\n}`,
        },
        { say: "restart_browser" },
      ],
    },
    {
      ...{ id: "chromium", title: "Chromium, Chrome", group: "browser" },
      steps: [
        { say: "nss_tools", command: "sudo apt-get install libnss3-tools" },
        { say: "nss", command: `certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n vitrine -i ${file}` },
        { say: "check", command: "certutil -d sql:$HOME/.pki/nssdb -L" },
        { say: "restart_browser" },
      ],
    },
    {
      ...{ id: "java", title: "Java", group: "program" },
      steps: [
        {
          say: "keytool",
          command: `sudo keytool -importcert -cacerts -storepass changeit -noprompt -alias vitrine -file ${file}`,
        },
        { say: "check", command: "keytool -list -cacerts -storepass changeit -alias vitrine" },
        {
          say: "java_store",
          command: `java -Djavax.net.ssl.trustStore=${store} -Djavax.net.ssl.trustStorePassword=changeit -jar program.jar`,
        },
      ],
    },
    {
      ...{ id: "node", title: "Node.js", group: "program" },
      steps: [
        { say: "copy", command: `sudo install -D -m 644 ${file} ${folder}/${file}` },
        { say: "adds", command: `export NODE_EXTRA_CA_CERTS=${folder}/${file}` },
      ],
    },
    {
      ...{ id: "python", title: "Python", group: "program" },
      steps: [
        { say: "system_first" },
        { say: "replaces", command: `export SSL_CERT_FILE=${bundle}\nexport REQUESTS_CA_BUNDLE=${bundle}` },
      ],
    },
    {
      ...{ id: "git", title: "git", group: "program" },
      steps: [
        follows,
        { say: "git_other", command: "git config --get http.sslCAInfo" },
        { say: "git_set", command: `git config --global http.sslCAInfo ${bundle}` },
      ],
    },
    {
      ...{ id: "curl", title: "curl", group: "program" },
      steps: [
        follows,
        { say: "curl_once", command: `curl --cacert ${file} https://example.com/` },
        { say: "curl_other", command: `export CURL_CA_BUNDLE=${bundle}` },
      ],
    },
    {
      ...{ id: "docker", title: "Docker", group: "container" },
      steps: [
        follows,
        { say: "docker_restart", command: "sudo systemctl restart docker" },
        {
          say: "docker_image",
          command: `COPY ${file} /usr/local/share/ca-certificates/\nRUN update-ca-certificates`,
        },
      ],
    },
    {
      ...{ id: "kubernetes", title: "Kubernetes", group: "container" },
      steps: [
        {
          say: "kubernetes_map",
          command: `vitrine trust print --ca ${file} --format kubernetes --namespace shop | kubectl apply --server-side -f -`,
        },
        {
          say: "kubernetes_pod",
          command:
            `vitrine trust print --ca ${file} --format kubernetes-pod --namespace shop --container web > pod.yaml\n` +
            "kubectl -n shop patch deployment web --patch-file pod.yaml",
        },
        {
          say: "kubernetes_node",
          command:
            `vitrine trust print --ca ${file} --format kubernetes-node --namespace kube-system > node.yaml\n` +
            "kubectl apply -f node.yaml",
        },
      ],
    },
  ];
}

/** The name under which the server hands out an authority's certificate. In commands nothing in it means something to a shell. */
export function fileOf(name: string, ending: string): string {
  return `vitrine-${name.replace(/[^A-Za-z0-9._-]+/g, "-")}.${ending}`;
}
