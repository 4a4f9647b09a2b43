"""The addresses of the views."""

from django.urls import path

from orders import views

urlpatterns = [
    path("stock/<int:item>/", views.read_stock),
    path("report/", views.report),
    path("export/", views.export),
    path("tasks/<str:task>/", views.send_task),
    path("tasks/<str:task>/<int:item>/", views.send_task),
]
