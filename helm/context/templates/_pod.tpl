{{/*
The pod of a server or a worker. Takes root, component ("server" or "worker"), part (its values) and
temporal: false where the Temporal Worker Controller adds the connection to Temporal.
*/}}
{{- define "context.pod" -}}
{{- $values := .root.Values -}}
{{- $server := eq .component "server" -}}
metadata:
  labels:
    {{- include "context.podLabels" . | nindent 4 }}
    {{- with merge (dict) .part.podLabels $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with merge (dict) .part.podAnnotations $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "context.podBasics" .root | nindent 2 }}
  serviceAccountName: {{ include "context.serviceAccountName" .root }}
  terminationGracePeriodSeconds: {{ include "context.gracePeriod" .root }}
  {{- with .part.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .part.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .part.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .part.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- include "context.spread" . | nindent 2 }}
  containers:
    - name: {{ .component }}
      {{- include "context.containerBasics" .root | nindent 6 }}
      command: [intent]
      args: {{ include "context.processArguments" . }}
      env:
        {{- include "context.processEnvironment" . | nindent 8 }}
      ports:
        {{- if $server }}
        - name: grpc
          containerPort: {{ $values.service.port }}
          protocol: TCP
        {{- if include "context.tlsSecondPort" .root }}
        - name: grpc-clients
          containerPort: {{ $values.tls.clientsPort }}
          protocol: TCP
        {{- end }}
        {{- end }}
        - name: metrics
          containerPort: {{ $values.metrics.port }}
          protocol: TCP
      {{- include "context.probes" . | trim | nindent 6 }}
      lifecycle:
        preStop:
          sleep:
            seconds: {{ $values.shutdown.preStopSeconds }}
      resources:
        {{- toYaml .part.resources | nindent 8 }}
      volumeMounts:
        {{- include "context.processVolumeMounts" . | nindent 8 }}
  volumes:
    {{- include "context.processVolumes" . | nindent 4 }}
{{- end -}}

{{/* Labels of a pod, without those that change with the chart alone, which would restart it. */}}
{{- define "context.podLabels" -}}
{{ include "context.selectorLabels" . }}
app.kubernetes.io/part-of: intent
app.kubernetes.io/version: {{ include "context.version" .root | quote }}
{{- with include "context.versionLabel" . }}
{{ . }}
{{- end }}
{{- if (include "context.facts" .root | fromYaml).calls }}
intent/client: "true"
{{- end }}
{{- end -}}

{{- define "context.processArguments" -}}
{{- if eq .component "worker" -}}
[worker, {{ .root.Values.context }}]
{{- else if include "context.separate" .root -}}
[serve, {{ .root.Values.context }}, --no-worker]
{{- else -}}
[serve, {{ .root.Values.context }}]
{{- end -}}
{{- end -}}

{{/* Parts of every pod of the release, including those of Jobs. */}}
{{- define "context.podBasics" -}}
{{- with include "context.pullSecrets" . | trim }}
{{- . }}
{{ end -}}
automountServiceAccountToken: false
# Variables made from Services would be taken for settings: a Service named intent gives INTENT_PORT.
enableServiceLinks: false
securityContext:
  {{- include "context.given" .Values.podSecurityContext | nindent 2 }}
{{- end -}}

{{- define "context.containerBasics" -}}
image: {{ include "context.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- toYaml .Values.containerSecurityContext | nindent 2 }}
{{- end -}}

{{/* A server's readiness is that of grpc.health.v1, a worker's that of /readyz, and a server's too where it speaks TLS, which kubelets do not; both have started and are live while their event loop runs: one that waits for PostgreSQL or Temporal is not restarted. */}}
{{- define "context.probes" -}}
{{- $values := .root.Values -}}
{{- range $probe := list "startup" "readiness" "liveness" }}
{{ $probe }}Probe:
  {{- if ne $probe "readiness" }}
  httpGet:
    path: /healthz
    port: metrics
  {{- else if and (eq $.component "server") (not $values.tls.enabled) }}
  grpc:
    port: {{ $values.service.port }}
  {{- else }}
  httpGet:
    path: /readyz
    port: metrics
  {{- end }}
  {{- toYaml (index $values.probes $probe) | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "context.spread" -}}
{{- $given := .part.topologySpreadConstraints -}}
{{- if kindIs "invalid" $given -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "context.selectorLabels" (dict "root" $.root "component" $.component) | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- else if $given -}}
topologySpreadConstraints:
  {{- toYaml $given | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* A map without the keys whose value is null. */}}
{{- define "context.given" -}}
{{- $given := dict -}}
{{- range $name, $value := . -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $given $name $value -}}{{- end -}}
{{- end -}}
{{- toYaml $given -}}
{{- end -}}
