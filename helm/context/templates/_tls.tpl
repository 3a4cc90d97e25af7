{{/* TLS of the context's own port, and of its calls to other contexts. */}}
{{- define "context.tlsEnvironment" -}}
{{- $folder := printf "%s/tls" (include "context.secrets" .) -}}
{{- with .Values.tls }}
{{- if .enabled }}
- name: INTENT_TLS_CERT_PATH
  value: {{ $folder }}/{{ .keys.certificate }}
- name: INTENT_TLS_KEY_PATH
  value: {{ $folder }}/{{ .keys.privateKey }}
{{- with .keys.ca }}
- name: INTENT_TLS_CA_PATH
  value: {{ $folder }}/{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the server asks of its clients. */}}
{{- define "context.tlsClientsEnvironment" -}}
{{- $folder := printf "%s/tls" (include "context.secrets" .) -}}
{{- with .Values.tls }}
{{- if and .enabled (ne .clients "off") }}
- name: INTENT_TLS_CLIENTS
  value: {{ .clients }}
- name: INTENT_TLS_CLIENT_CA_PATH
  value: {{ $folder }}/{{ .keys.clientCa | default .keys.ca }}
{{- if eq .clients "optional" }}
- name: INTENT_TLS_CLIENTS_PORT
  value: {{ .clientsPort | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "context.tlsMount" -}}
{{- if .Values.tls.enabled }}
- name: tls
  mountPath: {{ include "context.secrets" . }}/tls
  readOnly: true
{{- end }}
{{- end -}}

{{/* As a folder and without subPath, so that a new certificate reaches the process. */}}
{{- define "context.tlsVolume" -}}
{{- with .Values.tls }}
{{- if .enabled }}
- name: tls
  secret:
    secretName: {{ .existingSecret }}
    defaultMode: 288
    items:
      {{- range without (list .keys.certificate .keys.privateKey .keys.ca .keys.clientCa | uniq) "" }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The second port, "true" where there is one. */}}
{{- define "context.tlsSecondPort" -}}
{{- if and .Values.tls.enabled (eq .Values.tls.clients "optional") -}}true{{- end -}}
{{- end -}}

{{- define "context.problemsOfTls" -}}
{{- with .Values.tls }}
{{- if and .enabled (not .existingSecret) }}
tls.enabled is set but tls.existingSecret is not: create a Secret with the keys {{ .keys.certificate }} and {{ .keys.privateKey }}, as cert-manager does, and set it; or set tls.enabled=false where something else protects the network, such as a service mesh
{{- end }}
{{- if and .existingSecret (not .enabled) }}
tls.existingSecret is set but tls.enabled is not: set tls.enabled=true
{{- end }}
{{- if and (ne .clients "off") (not .enabled) }}
tls.clients is {{ .clients }} but tls.enabled is not set: set tls.enabled=true, or tls.clients=off
{{- end }}
{{- if and .enabled (or (not .keys.certificate) (not .keys.privateKey)) }}
tls.keys has no certificate or no privateKey: set both
{{- end }}
{{- if and .enabled (ne .clients "off") (not (or .keys.clientCa .keys.ca)) }}
tls.clients is {{ .clients }} and no authority of theirs is named: set tls.keys.clientCa
{{- end }}
{{- end }}
{{- if include "context.tlsSecondPort" . }}
{{- if has (int .Values.tls.clientsPort) (list (int .Values.service.port) (int .Values.metrics.port)) }}
tls.clientsPort is {{ .Values.tls.clientsPort }}, a port that is taken: set another one
{{- end }}
{{- end }}
{{- end -}}
