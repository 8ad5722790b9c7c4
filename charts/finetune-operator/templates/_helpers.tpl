{{/* The name of the chart, in labels. */}}
{{- define "finetune-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of objects; 50 characters leave room for suffixes. */}}
{{- define "finetune-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "finetune-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of objects of the cluster, which two releases in two namespaces must not share. */}}
{{- define "finetune-operator.clusterName" -}}
{{- $full := include "finetune-operator.fullname" . -}}
{{- if eq .Release.Namespace $full -}}{{ $full }}{{- else -}}{{ printf "%s-%s" .Release.Namespace $full }}{{- end -}}
{{- end -}}

{{/* Labels by which the operator's pods are found; they never change. */}}
{{- define "finetune-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "finetune-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of every object but the pods. */}}
{{- define "finetune-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "finetune-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: finetune-operator
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* An image, given {image, defaultTag}; a digest wins over a tag. */}}
{{- define "finetune-operator.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .defaultTag .image.tag }}
{{- end -}}
{{- end -}}

{{- define "finetune-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "finetune-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The operator's settings file. A null in the values has removed its key by now, and must reach the operator as null. */}}
{{- define "finetune-operator.settings" -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $_ := set $settings "trainerImage" (include "finetune-operator.image" (dict "image" .Values.trainer.image "defaultTag" .Chart.AppVersion)) -}}
{{- range $key := list "runAsUser" "runAsGroup" "fsGroup" "imagePullPolicy" "caConfigMap" -}}
{{- if not (hasKey $settings.pods $key) -}}{{- $_ := set $settings.pods $key nil -}}{{- end -}}
{{- end -}}
{{- $_ := set $settings.network "operatorNamespace" .Release.Namespace -}}
{{- $_ := set $settings.network "operatorLabels" (include "finetune-operator.selectorLabels" . | fromYaml) -}}
{{- toYaml $settings -}}
{{- end -}}

{{/* A container under Pod Security restricted, with nothing of its own to write. */}}
{{- define "finetune-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "finetune-operator.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.podSecurityContext }}
{{ toYaml . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* The whole right of the operator in a namespace. It reads no Secret: pods refer to them by name. */}}
{{- define "finetune-operator.rules" -}}
# delete: runPolicy.deleteJobAfterSeconds
- apiGroups: [finetune.dev]
  resources: [finetunejobs]
  verbs: [get, list, watch, delete]
- apiGroups: [finetune.dev]
  resources: [finetunejobs/status]
  verbs: [get, patch]
# Children block their owner's deletion, which OwnerReferencesPermissionEnforcement allows only with this.
- apiGroups: [finetune.dev]
  resources: [finetunejobs/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, delete]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, create, delete]
# Results are never deleted by the operator.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, list, create]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, create, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if has "Volcano" .Values.rbac.gangSchedulers }}
- apiGroups: [scheduling.volcano.sh]
  resources: [podgroups]
  verbs: [get, list, create, delete]
{{- end }}
{{- if has "Coscheduling" .Values.rbac.gangSchedulers }}
- apiGroups: [scheduling.x-k8s.io]
  resources: [podgroups]
  verbs: [get, list, create, delete]
{{- end }}
{{- end -}}

{{/* What no schema of single values can say. */}}
{{- define "finetune-operator.checkValues" -}}
{{- if and .Values.watch.namespaces .Values.watch.excludeNamespaces -}}
{{- fail "watch.excludeNamespaces: only an operator of the whole cluster leaves namespaces to others; empty it, or watch.namespaces" -}}
{{- end -}}
{{- if eq (int .Values.ports.health) (int .Values.ports.metrics) -}}
{{- fail "ports.metrics: must differ from ports.health" -}}
{{- end -}}
{{- end -}}
