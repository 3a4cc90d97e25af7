{{/*
A Job of the release. Takes root, component, job (its values), hook (the events of Helm), weight,
arguments, environment, mounts and volumes (lists as text) and account (true: with the Role that promotes).

As a hook it has a constant name and is created again each time. A plain Job cannot be changed, so its name
includes a hash of its content: the same content is no change, and other content is another Job.
*/}}
{{- define "context.job" -}}
{{- $values := .root.Values -}}
{{- $pod := include "context.jobPod" . -}}
{{- $name := printf "%s-%s" (include "context.fullname" .root) .component -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}{{ if not .job.hook }}-{{ $pod | sha256sum | trunc 8 }}{{ end }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "context.labels" (dict "root" .root "component" .component) | nindent 4 }}
  {{- if or .job.hook .job.annotations }}
  annotations:
    {{- if .job.hook }}
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation
    {{- end }}
    {{- with .job.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  backoffLimit: {{ .job.backoffLimit }}
  activeDeadlineSeconds: {{ .job.activeDeadlineSeconds }}
  ttlSecondsAfterFinished: {{ .job.ttlSecondsAfterFinished }}
  template:
    {{- $pod | nindent 4 }}
{{- end -}}

{{- define "context.jobPod" -}}
{{- $values := .root.Values -}}
metadata:
  labels:
    {{- include "context.podLabels" . | nindent 4 }}
    {{- with $values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "context.podBasics" .root | nindent 2 }}
  restartPolicy: Never
  containers:
    - name: {{ .component }}
      {{- include "context.containerBasics" .root | nindent 6 }}
      command: [intent]
      args: {{ toJson .arguments }}
      env:
        {{- .environment | trim | nindent 8 }}
      resources:
        {{- toYaml .job.resources | nindent 8 }}
      volumeMounts:
        - name: scratch
          mountPath: /tmp
        {{- with .mounts | trim }}
        {{- . | nindent 8 }}
        {{- end }}
  volumes:
    {{- include "context.scratchVolume" .root | nindent 4 }}
    {{- with .volumes | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}
